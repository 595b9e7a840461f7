// SPDX-License-Identifier: Apache-2.0
#include "model/velocity_model.h"

#include "core/error.h"

namespace pathline::model {

std::unique_ptr<VelocityModel> make_model(const ModelOptions& options, std::uint64_t seed) {
  std::unique_ptr<Module> module = make_module(options, seed);
  VelocityModel& model = as_velocity_model(*module, "this use");
  module.release();
  return std::unique_ptr<VelocityModel>(&model);
}

VelocityModel& as_velocity_model(Module& module, const std::string& user) {
  auto* model = dynamic_cast<VelocityModel*>(&module);
  PL_CHECK(model != nullptr, core::ExitCode::kUsage, user, " needs a velocity model, and model.name = \"",
           module.options().name, "\" is another kind of network. Choose another model (docs/models.md).");
  return *model;
}

}  // namespace pathline::model

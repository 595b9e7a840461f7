// SPDX-License-Identifier: Apache-2.0
#include "model/velocity_model.h"

#include "core/error.h"
#include "model/network.h"
#include "model/option_checks.h"

namespace pathline::model {
namespace {

std::unique_ptr<Network> make_network(const ModelOptions& options, std::optional<std::uint64_t> seed) {
  check_options(options);
  switch (family_of(options.name)) {
    case Family::kTransformer:
      return make_transformer(options, seed);
    case Family::kUnet:
      return make_unet(options, seed);
    case Family::kMlp:
      return make_mlp(options, seed);
  }
  return nullptr;
}

}  // namespace

std::unique_ptr<Module> make_module(const ModelOptions& options, std::uint64_t seed) {
  return make_network(options, seed);
}

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

std::vector<ParameterShape> parameter_table(const ModelOptions& options) {
  const std::unique_ptr<Network> network = make_network(options, std::nullopt);
  std::vector<ParameterShape> table;
  for (const NamedTensor& parameter : network->parameters()) {
    table.push_back({parameter.name, parameter.tensor.sizes().vec()});
  }
  return table;
}

}  // namespace pathline::model

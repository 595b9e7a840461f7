// SPDX-License-Identifier: Apache-2.0
#include "trainer/starting_weights.h"

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "model/weights.h"

namespace pathline::trainer {
namespace {

void load_from_checkpoint(core::FileSystem& files, const std::string& path, const std::string& kind,
                          model::VelocityModel& model) {
  const checkpoint::Reader reader(files, checkpoint::resolve(files, path));
  PL_CHECK(reader.has_kind(kind), core::ExitCode::kUsage, reader.directory(), " has no \"", kind,
           "\" (model.init asks for it). `pathline checkpoint show` lists what it has.");
  for (const auto& parameter : model.parameters()) {
    at::Tensor tensor = parameter.tensor.detach();
    reader.read(kind, parameter.name, 0, static_cast<std::uint64_t>(tensor.numel()),
                {static_cast<std::byte*>(tensor.mutable_data_ptr()), tensor.nbytes()});
  }
}

}  // namespace

void load_starting_weights(core::FileSystem& files, const model::ModelOptions& options, model::VelocityModel& model) {
  const std::string& init = options.init;
  if (init.empty()) return;
  if (init.ends_with(".safetensors")) {
    const auto missing = options.init_missing == "zero" ? model::MissingWeights::kZero : model::MissingWeights::kError;
    model::load_weights(files, init, model, missing);
    return;
  }
  const auto colon = init.rfind(':');
  const std::string kind = colon == std::string::npos ? "master" : init.substr(colon + 1);
  load_from_checkpoint(files, init.substr(0, colon), kind, model);
}

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
#include "trainer/starting_weights.h"

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "model/weights.h"
#include "sampler/checkpointed_model.h"

namespace pathline::trainer {
namespace {

void load_from_checkpoint(core::FileSystem& files, const std::string& path, const std::string& kind,
                          model::Module& model) {
  const checkpoint::Reader reader(files, checkpoint::resolve(files, path));
  PL_CHECK(reader.has_kind(kind), core::ExitCode::kUsage, reader.directory(), " has no \"", kind,
           "\" (model.init asks for it). `pathline checkpoint show` lists what it has.");
  sampler::load_kind(reader, kind, model.parameters());
}

}  // namespace

void load_starting_weights(core::FileSystem& files, const model::ModelOptions& options, model::Module& model) {
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

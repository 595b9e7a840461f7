// SPDX-License-Identifier: Apache-2.0
#include "trainer/loader_options.h"

#include "flow/coupling.h"
#include "model/model_options.h"
#include "trainer/training_step.h"

namespace pathline::trainer {
namespace {

/// A GPU makes numbers of pixels itself; dequantising, and a coupling over the batch, need them on the host.
bool takes_pixels(at::Device device, const Recipe& recipe, const data::SetInfo& info) {
  return device.is_cuda() && info.kind == data::ItemKind::kImage && recipe.data.dequantize == "none" &&
         !flow::Coupling::of(recipe.flow.pairing, recipe.model.classes > 0).permutes();
}

}  // namespace

data::LoaderOptions loader_options(const Recipe& recipe, const Dataset& dataset, std::uint64_t position,
                                   at::Device device, const cluster::Communicator& ranks) {
  const auto own = own_samples(recipe.train, ranks);
  data::LoaderOptions options;
  options.batch = recipe.train.batch;
  options.first = own.first;
  options.last = own.last;
  options.start = position;
  options.flip = recipe.data.flip && recipe.data.overfit == 0;
  options.dequantize = recipe.data.dequantize == "uniform";
  options.starts = recipe.flow.pairing.coupling == "pairs";
  options.texts = model::takes_text(recipe.model);
  options.pixels = takes_pixels(device, recipe, dataset.info());
  options.ahead = dataset.ahead();
  options.seed = static_cast<std::uint64_t>(recipe.run.seed);
  options.threads = static_cast<int>(recipe.data.loader_threads);
  options.depth = static_cast<int>(recipe.data.loader_depth);
  return options;
}

}  // namespace pathline::trainer

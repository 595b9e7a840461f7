// SPDX-License-Identifier: Apache-2.0
#include "trainer/slice_benchmark.h"

#include <ATen/Parallel.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "cluster/reduction_tree.h"
#include "core/progress.h"
#include "model/flops.h"
#include "model/recompute.h"
#include "trainer/objective.h"
#include "trainer/telemetry.h"

namespace pathline::trainer {
namespace {

/// One micro-batch of samples whose values do not matter.
Slice made_slice(const Recipe& recipe) {
  const model::ModelOptions& model = recipe.model;
  const std::int64_t n = recipe.train.batch / recipe.train.slices / recipe.train.passes_per_slice();
  std::vector<std::int64_t> shape = {n, model.input_channels};
  if (model.input_size > 0) shape.insert(shape.end(), 2, model.input_size);
  Slice slice;
  slice.x1 = at::full(shape, 0.5);
  if (model::takes_text(model)) {
    const std::int64_t values = model.text_tokens * model.text_width + model.text_pooled;
    slice.texts = at::full({n, values}, 0.5);
    slice.null_text = at::full({values}, 0.0);
  }
  slice.labels.resize(static_cast<std::size_t>(n), model.classes > 0 ? 0 : -1);
  slice.positions.resize(static_cast<std::size_t>(n));
  std::iota(slice.positions.begin(), slice.positions.end(), 0);
  return slice;
}

std::unique_ptr<model::Module> training_model(const Recipe& recipe) {
  auto model = model::make_module(recipe.model, static_cast<std::uint64_t>(recipe.run.seed));
  model->set_activation_checkpointing(model::parse_activation_checkpointing(recipe.train.activation_checkpointing));
  model->set_training(true);
  if (recipe.train.precision == "bf16") {
    for (const auto& parameter : model->parameters()) {
      at::Tensor tensor = parameter.tensor;
      tensor.set_data(tensor.detach().to(at::kBFloat16));
    }
  }
  return model;
}

}  // namespace

SliceBenchmark benchmark_slice(const Recipe& recipe) {
  at::set_num_threads(static_cast<int>(recipe.run.threads));
  const auto model = training_model(recipe);
  const auto objective = make_objective(recipe.flow, static_cast<std::uint64_t>(recipe.run.seed), *model);
  const Slice slice = made_slice(recipe);
  const auto pass = [&] { objective->loss_per_sample(slice).sum().backward(); };

  SliceBenchmark result;
  const double before = peak_memory_bytes();
  pass();
  double gradients = 0;
  for (const auto& parameter : model->parameters()) gradients += static_cast<double>(parameter.tensor.nbytes());
  result.activation_bytes = std::max(0.0, peak_memory_bytes() - before - gradients);
  const double started = core::monotonic_seconds();
  for (std::int64_t n = 0; n < recipe.train.passes_per_slice(); ++n) pass();
  const double samples =
      static_cast<double>(slice.labels.size()) * static_cast<double>(recipe.train.passes_per_slice());
  result.flops_per_second =
      model::training_flops(recipe.model).total() * samples / (core::monotonic_seconds() - started);
  return result;
}

double measured_memory_rate() {
  constexpr std::size_t kElements = std::size_t{1} << 23;  // 32 MiB an array
  constexpr int kRounds = 5;
  const std::vector<float> a(kElements, 1.0f), b(kElements, 2.0f);
  std::vector<float> c(kElements);
  double fastest = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    const double started = core::monotonic_seconds();
    cluster::add(a, b, c);
    fastest = std::min(fastest, core::monotonic_seconds() - started);
  }
  return 3.0 * sizeof(float) * static_cast<double>(kElements) / fastest;
}

}  // namespace pathline::trainer

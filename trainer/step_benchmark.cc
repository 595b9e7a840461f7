// SPDX-License-Identifier: Apache-2.0
#include "trainer/step_benchmark.h"

#include <algorithm>

#include "cluster/agree.h"
#include "model/flops.h"
#include "trainer/made_training.h"
#include "trainer/peak_rate.h"
#include "trainer/run_setup.h"
#include "trainer/telemetry.h"

namespace pathline::trainer {
namespace {

constexpr double kPeakSeconds = 0.5;  // for measuring what processors can do

}  // namespace

StepTimes benchmark_step(const RunRequest& request, std::int64_t warmup, std::int64_t steps,
                         cluster::Communicator& ranks) {
  MadeTraining training(cluster::together(ranks, [&] { return load_recipe(request); }), ranks);
  const Recipe& recipe = training.recipe();
  StepTimes times;
  times.peak_flops_per_second = peak_of_ranks(recipe.train, device_of(training.model()), ranks, kPeakSeconds);
  for (std::int64_t n = 0; n < warmup + steps; ++n) {
    const auto [result, seconds] = training.step(n);
    if (n < warmup) continue;
    times.seconds.push_back(seconds);
    times.compute_seconds += result.compute_seconds / static_cast<double>(steps);
    times.reduce_seconds += result.reduce_seconds / static_cast<double>(steps);
    times.update_seconds += result.update_seconds / static_cast<double>(steps);
    times.exchange_hidden_seconds += result.exchange_hidden_seconds / static_cast<double>(steps);
    times.exchange_exposed_seconds += result.exchange_exposed_seconds / static_cast<double>(steps);
  }
  std::vector<double> sorted = times.seconds;
  std::sort(sorted.begin(), sorted.end());
  times.samples_per_second = static_cast<double>(recipe.train.batch) / sorted[sorted.size() / 2];
  times.model_flops_per_second = times.samples_per_second * model::training_flops(recipe.model).total();
  times.peak_memory_bytes = peak_memory_bytes();
  times.memory = training.state().memory();
  times.memory.push_back(training.gradient_memory());
  for (const auto& parameter : training.model().parameters()) times.parameters += parameter.tensor.numel();
  times.slices = recipe.train.slices;
  times.ranks = ranks.size();
  times.threads = recipe.run.threads;
  return times;
}

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
#include "trainer/step_benchmark.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "cluster/agree.h"
#include "cluster/whereabouts.h"
#include "core/progress.h"
#include "core/random.h"
#include "model/flops.h"
#include "trainer/peak_rate.h"
#include "model/recompute.h"
#include "trainer/run_setup.h"
#include "trainer/telemetry.h"
#include "trainer/training_step.h"

namespace pathline::trainer {
namespace {

constexpr double kPeakSeconds = 0.5;  // for measuring what processors can do

/// As if read from a data set: values in [-1, 1), labels in turn.
data::Batch made_batch(const cluster::SliceRange& own, const data::SetInfo& info, std::uint64_t position) {
  data::Batch batch;
  batch.position = position;
  batch.first = position + static_cast<std::uint64_t>(own.first);
  batch.values.resize(static_cast<std::size_t>(own.size()) * info.item_values());
  core::Draws(0, batch.first, core::Purpose::kMadeData).fill_uniform(batch.values);
  for (auto& value : batch.values) value = 2 * value - 1;
  for (std::int64_t i = 0; i < own.size(); ++i) {
    batch.samples.push_back(i);
    batch.labels.push_back(info.classes > 0 ? (own.first + i) % info.classes : -1);
  }
  return batch;
}

data::SetInfo made_info(const model::ModelOptions& model) {
  PL_CHECK(model.input_channels > 0 && model.classes >= 0, core::ExitCode::kUsage,
           "the recipe does not say model.input_size, model.input_channels and model.classes (a benchmark has no data set to ",
           "take them from). Add --set model.input_size=32 --set model.input_channels=3 --set model.classes=10.");
  data::SetInfo info;
  info.kind = model.input_size == 0 ? data::ItemKind::kPoint : data::ItemKind::kImage;
  info.height = info.width = std::max<std::int64_t>(1, model.input_size);
  info.channels = model.input_channels;
  info.classes = model.classes;
  return info;
}

}  // namespace

StepTimes benchmark_step(const RunRequest& request, std::int64_t warmup, std::int64_t steps, cluster::Communicator& ranks) {
  Recipe recipe;
  data::SetInfo info;
  std::unique_ptr<model::VelocityModel> model;
  cluster::together(ranks, [&] {
    core::Config config = load_recipe(request);
    if (!config.has("data", "path")) config.set("data.path=[\"none\"]");
    recipe = read_recipe(config);
    check_ranks(recipe, ranks);
    at::set_num_threads(static_cast<int>(recipe.run.threads));
    info = made_info(recipe.model);
    model = model::make_model(recipe.model, static_cast<std::uint64_t>(recipe.run.seed));
    model->set_activation_checkpointing(model::parse_activation_checkpointing(recipe.train.activation_checkpointing));
    model->set_training(true);
  });
  const Engine engine = make_engine(recipe, *model, ranks);
  const auto objective = make_objective(recipe.flow, static_cast<std::uint64_t>(recipe.run.seed));
  cluster::Whereabouts where;
  TrainingStep step(recipe, *objective, *model, *engine.state, *engine.backend, info, ranks, where);

  StepTimes times;
  times.peak_flops_per_second = peak_of_ranks(recipe.train, device_of(*model), ranks, kPeakSeconds);
  const auto own = own_samples(recipe.train, ranks);
  for (std::int64_t n = 0; n < warmup + steps; ++n) {
    data::Batch batch = made_batch(own, info, static_cast<std::uint64_t>(n * recipe.train.batch));
    ranks.barrier();
    const double start = core::monotonic_seconds();
    const StepResult result = step(batch, n, n);
    std::vector<double> seconds = {core::monotonic_seconds() - start};
    ranks.all_reduce(seconds, cluster::Reduction::kMax);
    if (n < warmup) continue;
    times.seconds.push_back(seconds[0]);
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
  times.memory = engine.state->memory();
  times.memory.push_back(step.memory());
  for (const auto& parameter : model->parameters()) times.parameters += parameter.tensor.numel();
  times.slices = recipe.train.slices;
  times.ranks = ranks.size();
  times.threads = recipe.run.threads;
  return times;
}

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
// Note [Why slices]: the shape of a matrix product decides how its sums are cut up, so a gradient computed from 32
// samples at once differs in its last bits from the sum of two computed from 16. The global batch is therefore always
// computed as the same slices, wherever they run, and their gradients and losses are combined along one fixed tree.
// Any number of ranks then gives the same bits.
#include "trainer/training_step.h"

#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <cmath>

#include "cluster/shard_reducer.h"
#include "core/error.h"
#include "core/progress.h"
#include "trainer/schedule.h"

namespace pathline::trainer {
namespace {

cluster::SliceRange own_slices(const TrainOptions& train, const cluster::Communicator& ranks) {
  return cluster::slices_of(ranks.rank(), ranks.size(), train.slices);
}

double clip_scale(double clip, double norm) { return clip > 0 && norm > clip ? clip / norm : 1.0; }

}  // namespace

cluster::SliceRange own_samples(const TrainOptions& train, const cluster::Communicator& ranks) {
  const std::int64_t size = train.batch / train.slices;
  const cluster::SliceRange slices = own_slices(train, ranks);
  return {slices.first * size, slices.last * size};
}

TrainingStep::TrainingStep(const Recipe& recipe, const Objective& objective, model::VelocityModel& model,
                           ShardedState& state, const data::SetInfo& info, cluster::Communicator& ranks,
                           cluster::Whereabouts& here)
    : recipe_(recipe),
      objective_(objective),
      model_(model),
      state_(state),
      info_(info),
      ranks_(ranks),
      here_(here),
      gradients_(state.layout(), own_slices(recipe.train, ranks), recipe.train.slices) {}

StepResult TrainingStep::operator()(data::Batch& batch, std::int64_t optimizer_step) {
  StepResult result;
  const double start = core::monotonic_seconds();
  here_.enter(cluster::Phase::kCompute);
  result.loss = accumulate(batch);

  const double computed = core::monotonic_seconds();
  here_.next_collective();
  const std::span<float> gradient = gradients_.in_first(state_.begin(), state_.end());
  const cluster::ShardMap map({{0, state_.layout().elements}}, cluster::Levels{1, ranks_.size()}, ranks_.rank(), ranks_.size());
  cluster::make_tree_reducer(ranks_, cluster::host_array_math(), map, recipe_.train.slices)
      ->reduce(0, gradients_.partials(), gradient, {});
  result.gradient_norm = state_.gradient_norm(ranks_, gradient);

  const double reduced = core::monotonic_seconds();
  result.skipped = !std::isfinite(result.loss) || !std::isfinite(result.gradient_norm);
  here_.enter(cluster::Phase::kUpdate);
  if (!result.skipped) {
    state_.update(recipe_.optimizer, optimizer_step, gradient, clip_scale(recipe_.train.clip, result.gradient_norm));
    here_.enter(cluster::Phase::kGather);
    here_.next_collective();
    state_.gather_parameters(ranks_);
  }
  result.learning_rate = lr_at(recipe_.optimizer, optimizer_step);
  result.compute_seconds = computed - start;
  result.reduce_seconds = reduced - computed;
  result.update_seconds = core::monotonic_seconds() - reduced;
  return result;
}

double TrainingStep::accumulate(data::Batch& batch) {
  const auto slices = own_slices(recipe_.train, ranks_);
  const at::Tensor share = at::scalar_tensor(1.0 / static_cast<double>(recipe_.train.batch), at::kFloat);
  std::vector<double> losses;
  gradients_.start();
  for (std::int64_t number = 0; number < slices.size(); ++number) {
    const at::Tensor per_sample = objective_.loss_per_sample(slice_of(batch, number), model_);
    per_sample.sum().backward(share);  // sum over samples / batch, never a mean of means
    losses.push_back(per_sample.detach().to(at::kDouble).sum().item<double>());
    gradients_.take(model_.parameters());
    here_.progress();
  }
  here_.enter(cluster::Phase::kReduce);
  here_.next_collective();
  std::vector<double> all(static_cast<std::size_t>(recipe_.train.slices));
  std::vector<std::size_t> offsets = {0};  // bytes
  for (int r = 0; r < ranks_.size(); ++r) {
    offsets.push_back(static_cast<std::size_t>(cluster::slices_of(r, ranks_.size(), recipe_.train.slices).last) * sizeof(double));
  }
  std::ranges::copy(losses, all.begin() + slices.first);
  ranks_.all_gather_in_place(std::as_writable_bytes(std::span(all)), offsets);
  return cluster::tree_sum(all) / static_cast<double>(recipe_.train.batch);
}

Slice TrainingStep::slice_of(data::Batch& batch, std::int64_t number) const {
  const std::int64_t size = recipe_.train.batch / recipe_.train.slices;
  const auto first = static_cast<std::size_t>(number * size), last = first + static_cast<std::size_t>(size);
  PL_ASSERT(last <= batch.samples.size());
  Slice slice;
  slice.x1 = as_tensor(batch.values, static_cast<std::int64_t>(batch.samples.size()), info_).narrow(0, number * size, size);
  slice.labels.assign(batch.labels.begin() + static_cast<std::ptrdiff_t>(first), batch.labels.begin() + static_cast<std::ptrdiff_t>(last));
  for (std::size_t i = first; i < last; ++i) slice.positions.push_back(batch.first + i);
  return slice;
}

}  // namespace pathline::trainer

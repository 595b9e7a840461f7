// SPDX-License-Identifier: Apache-2.0
// Note [Where a rollback goes]: a checkpoint by the clock or on request exists in one run and not in another of the
// same recipe. If a rollback went to it, the weights would depend on the moment. Checkpoints by number of steps are the
// same in all, so only they count, and retention leaves the newest two: the newest may hold the very weights that fail.
#include "trainer/recovery.h"

#include <algorithm>

#include "core/error.h"

namespace pathline::trainer {

void count_update(checkpoint::State& progress, std::int64_t batch) {
  progress.step += 1;
  progress.optimizer_step += 1;
  progress.position += static_cast<std::uint64_t>(batch);
  progress.skips_in_a_row = 0;
}

void count_skip(checkpoint::State& progress, std::int64_t batch) {
  progress.skipped_windows.push_back(progress.position);
  progress.step += 1;
  progress.position += static_cast<std::uint64_t>(batch);
  progress.skips_in_a_row += 1;
}

Recovery what_next(const checkpoint::State& progress, const TrainOptions& train) {
  if (progress.skips_in_a_row < static_cast<std::uint64_t>(train.skips_before_rollback)) return Recovery::kGoOn;
  const bool may = progress.rollbacks_in_a_row < static_cast<std::uint64_t>(train.rollbacks);
  return may ? Recovery::kRollBack : Recovery::kGiveUp;
}

checkpoint::State rolled_back(const checkpoint::State& failed, const checkpoint::State& target, std::int64_t batch) {
  PL_ASSERT(target.position <= failed.position && target.optimizer_step < failed.optimizer_step);
  checkpoint::State state = failed;
  state.step = target.step;
  state.optimizer_step = target.optimizer_step;
  state.metrics = target.metrics;
  state.skipped_windows = target.skipped_windows;
  for (auto window = target.position; window < failed.position; window += static_cast<std::uint64_t>(batch)) {
    state.skipped_windows.push_back(window);
  }
  state.skips_in_a_row = 0;
  state.rollbacks_in_a_row += 1;
  return state;
}

bool counts_for_rollback(std::uint64_t step, const CheckpointOptions& options) {
  return options.every_steps == 0 || step % static_cast<std::uint64_t>(options.every_steps) == 0;
}

void count_checkpoint(checkpoint::State& progress, const CheckpointOptions& options) {
  const bool good = progress.skips_in_a_row == 0 && counts_for_rollback(progress.step, options);
  if (good) progress.rollbacks_in_a_row = 0;
}

void forget_held_out_losses(checkpoint::State& progress) {
  std::erase_if(progress.metrics, [](const auto& metric) { return metric.first.ends_with("held_out_loss"); });
}

checkpoint::Retention retention_of(const CheckpointOptions& o) {
  const auto mode = o.best_mode == "max" ? checkpoint::BestBy::Mode::kMax : checkpoint::BestBy::Mode::kMin;
  return {o.keep_last, o.keep_every_steps, o.keep_every_hours, o.keep_best, {o.best_metric, mode}};
}

std::vector<std::uint64_t> kept_for_rollback(const std::vector<std::uint64_t>& steps,
                                             const CheckpointOptions& options) {
  std::vector<std::uint64_t> kept;
  for (auto step = steps.rbegin();
       step != steps.rend() && std::ssize(kept) < std::min<std::int64_t>(2, options.keep_last); ++step) {
    if (counts_for_rollback(*step, options)) kept.push_back(*step);
  }
  return kept;
}

}  // namespace pathline::trainer

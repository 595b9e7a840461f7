// SPDX-License-Identifier: Apache-2.0
#include "trainer/recovery.h"

#include <gtest/gtest.h>

namespace pathline::trainer {
namespace {

constexpr std::int64_t kBatch = 10;
using Windows = std::vector<std::uint64_t>;

TrainOptions policy(std::int64_t skips, std::int64_t rollbacks) {
  TrainOptions train;
  train.skips_before_rollback = skips;
  train.rollbacks = rollbacks;
  return train;
}

CheckpointOptions saved_every(std::int64_t steps, std::int64_t keep_last = 3) {
  CheckpointOptions options;
  options.every_steps = steps;
  options.keep_last = keep_last;
  return options;
}

checkpoint::State after_updates(int count) {
  checkpoint::State state;
  for (int i = 0; i < count; ++i) count_update(state, kBatch);
  return state;
}

/// docs/recovery.md: every window taken either went into the weights or is recorded.
void expect_all_windows_accounted(const checkpoint::State& state) {
  EXPECT_EQ(state.position, (state.optimizer_step + state.skipped_windows.size()) * kBatch);
}

TEST(Recovery, ASkippedStepMovesTheDataOnAndNotTheOptimizer) {
  checkpoint::State state = after_updates(3);
  count_skip(state, kBatch);
  EXPECT_EQ(state.step, 4u);
  EXPECT_EQ(state.position, 40u);
  EXPECT_EQ(state.optimizer_step, 3u);
  EXPECT_EQ(state.skipped_windows, Windows{30});
  expect_all_windows_accounted(state);
}

TEST(Recovery, OnlySkipsInARowCount) {
  checkpoint::State state;
  const TrainOptions train = policy(3, 1);
  for (int i = 0; i < 10; ++i) {
    count_skip(state, kBatch);
    count_skip(state, kBatch);
    EXPECT_EQ(what_next(state, train), Recovery::kGoOn);
    count_update(state, kBatch);
    EXPECT_EQ(what_next(state, train), Recovery::kGoOn);
  }
  for (int i = 0; i < 3; ++i) count_skip(state, kBatch);
  EXPECT_EQ(what_next(state, train), Recovery::kRollBack);
  expect_all_windows_accounted(state);
}

TEST(Recovery, GivesUpAfterTheRollbacksAllowed) {
  const checkpoint::State target = after_updates(4);
  const TrainOptions train = policy(2, 2);
  checkpoint::State state = target;
  int rollbacks = 0;
  while (true) {
    count_update(state, kBatch);
    count_skip(state, kBatch);
    count_skip(state, kBatch);
    const Recovery next = what_next(state, train);
    if (next == Recovery::kGiveUp) break;
    ASSERT_EQ(next, Recovery::kRollBack);
    state = rolled_back(state, target, kBatch);
    ++rollbacks;
  }
  EXPECT_EQ(rollbacks, 2);
  EXPECT_EQ(what_next(state, policy(2, 0)), Recovery::kGiveUp);
}

TEST(Recovery, TheWeightsGoBackAndTheDataGoOn) {
  checkpoint::State target = after_updates(4);
  count_skip(target, kBatch);
  target.metrics["loss"] = 0.5;
  checkpoint::State failed = target;
  for (int i = 0; i < 3; ++i) count_update(failed, kBatch);
  count_skip(failed, kBatch);
  count_skip(failed, kBatch);
  failed.recipe = "of this start";
  const checkpoint::State state = rolled_back(failed, target, kBatch);
  EXPECT_EQ(state.step, 5u);
  EXPECT_EQ(state.optimizer_step, 4u);
  EXPECT_EQ(state.position, failed.position);
  EXPECT_EQ(state.skips_in_a_row, 0u);
  EXPECT_EQ(state.rollbacks_in_a_row, 1u);
  EXPECT_EQ(state.skipped_windows, (Windows{40, 50, 60, 70, 80, 90}));
  EXPECT_EQ(state.recipe, "of this start");
  EXPECT_EQ(state.metrics, target.metrics);
  expect_all_windows_accounted(state);
}

TEST(Recovery, OnlyANewerCheckpointThatCountsEndsARowOfRollbacks) {
  checkpoint::State state = after_updates(7);
  state.rollbacks_in_a_row = 1;
  count_checkpoint(state, saved_every(4));
  EXPECT_EQ(state.rollbacks_in_a_row, 1u);  // step 7: by the clock
  count_skip(state, kBatch);
  count_checkpoint(state, saved_every(4));
  EXPECT_EQ(state.rollbacks_in_a_row, 1u);  // step 8, in a row of skips
  state.skips_in_a_row = 0;
  count_checkpoint(state, saved_every(4));
  EXPECT_EQ(state.rollbacks_in_a_row, 0u);
}

TEST(Recovery, RetentionLeavesTheTwoNewestThatCount) {
  const Windows steps = {100, 150, 200, 250, 300, 310, 320, 330};
  EXPECT_EQ(kept_for_rollback(steps, saved_every(100)), (Windows{300, 200}));
  EXPECT_EQ(kept_for_rollback(steps, saved_every(100, 1)), Windows{300});
  EXPECT_EQ(kept_for_rollback(steps, saved_every(0)), (Windows{330, 320}));
  EXPECT_EQ(kept_for_rollback(steps, saved_every(1000)), Windows{});
}

}  // namespace
}  // namespace pathline::trainer

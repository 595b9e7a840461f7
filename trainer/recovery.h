// SPDX-License-Identifier: Apache-2.0
// What a run does about steps that are not finite: skip, roll back, give up (docs/recovery.md). Pure functions of what
// a checkpoint stores, so that all ranks, and a run that was killed and resumed, decide alike.
#pragma once

#include <cstdint>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "trainer/options.h"

namespace pathline::trainer {

enum class Recovery { kGoOn, kRollBack, kGiveUp };

/// After a step whose numbers were finite: one update more. `batch` is the size of a window, in samples.
void count_update(checkpoint::State& progress, std::int64_t batch);

/// After a step that was not finite: the window at progress.position is recorded as skipped.
void count_skip(checkpoint::State& progress, std::int64_t batch);

/// What follows from the skips and rollbacks in a row. kRollBack where no checkpoint can be gone back to means kGiveUp.
Recovery what_next(const checkpoint::State& progress, const TrainOptions& train);

/// The weights go back, the data go on: counters of `target` (what was restored), position of `failed`, every window
/// between recorded as skipped. Recipe, versions and the like stay those of `failed`.
checkpoint::State rolled_back(const checkpoint::State& failed, const checkpoint::State& target, std::int64_t batch);

/// Whether a run may go back to a checkpoint of this step (Note [Where a rollback goes]).
bool counts_for_rollback(std::uint64_t step, const CheckpointOptions& options);

/// Before `progress` is saved: a checkpoint that counts and is not in a row of skips ends a row of rollbacks.
void count_checkpoint(checkpoint::State& progress, const CheckpointOptions& options);

/// Before `progress` is saved at a step that was not validated: an earlier step's held-out loss must not make it the
/// best.
void forget_held_out_losses(checkpoint::State& progress);

/// What [checkpoint] says about which ones stay.
checkpoint::Retention retention_of(const CheckpointOptions& options);

/// Of `steps` (ascending), those that retention must leave for a rollback.
std::vector<std::uint64_t> kept_for_rollback(const std::vector<std::uint64_t>& steps, const CheckpointOptions& options);

}  // namespace pathline::trainer

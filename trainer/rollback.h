// SPDX-License-Identifier: Apache-2.0
// Going back to a checkpoint, at start or in the middle of a run (docs/recovery.md).
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/checkpoint.h"
#include "cluster/communicator.h"
#include "trainer/options.h"
#include "trainer/sharded_state.h"

namespace pathline::trainer {

/// Weights, moments and averages as the checkpoint has them, read as `options.read` says. Collective; throws on all
/// ranks together.
void restore_state(ShardedState& state, const checkpoint::Reader& reader, const CheckpointOptions& options,
                   cluster::Communicator& ranks);

/// Checkpoints in `directory` later than `step` are damaged or belong to a branch that is left: counted, they would
/// push out the run's own at the next deletion and be resumed from after it. Rank 0 renames them and says so.
/// Collective.
void set_aside_later_ones(core::FileSystem& files, const std::string& directory, std::uint64_t step,
                          cluster::Communicator& ranks);

/// After too many skips in a row: `state` and `progress` go back to the newest checkpoint in `directory` that counts,
/// and later ones are set aside. Returns its path; empty if there is none, and then nothing has changed. Collective;
/// throws on all ranks together.
std::string roll_back(core::FileSystem& files, const std::string& directory, const Recipe& recipe,
                      checkpoint::State& progress, ShardedState& state, cluster::Communicator& ranks);

}  // namespace pathline::trainer

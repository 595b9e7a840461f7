// SPDX-License-Identifier: Apache-2.0
// Ends a run that is restarted again and again without getting anywhere (docs/recovery.md, "Restarts without
// progress"). Progress is a newer committed checkpoint. A start by hand is never refused.
#pragma once

#include <cstdint>
#include <exception>
#include <string>

#include "cluster/communicator.h"
#include "cluster/session.h"
#include "core/file_system.h"

namespace pathline::trainer {

/// What RUN/restarts.json holds.
struct RestartRecord {
  std::int64_t restarts = 0;  // in a row that found no newer checkpoint than the start before them
  std::int64_t step = -1;     // of the newest committed checkpoint at the last start; -1: there was none
};

/// The record after one more start that finds `step` (-1: no checkpoint). Pure.
RestartRecord count_start(const RestartRecord& before, bool restart, std::int64_t step);

/// Whether Slurm (SLURM_RESTART_COUNT) or `pathline launch local --restart` (PATHLINE_RESTART) started this process
/// again.
bool is_restart(const cluster::Environment& environment);

/// All ranks, run lock held: counts this start in `run_directory`. Throws ExitCode::kNoProgress on all ranks together
/// if it follows `limit` restarts without progress (0: never).
void guard_restarts(core::FileSystem& files, const std::string& run_directory, const std::string& checkpoints,
                    std::int64_t limit, cluster::Communicator& ranks,
                    const cluster::Environment& environment = cluster::process_environment());

/// Throws kRankLost in place of what a start that has made a step threw, where that is an error of the environment that
/// one rank has met, told to the others or not: the environment could be used, and a fault of a GPU, of a read or of
/// MPI may pass, or stay with a node that a scheduler replaces. So it is no final 4; guard_restarts() ends what does
/// not pass. What all ranks decided together, and the loss of the run to another owner, are left to the caller to throw
/// on.
void throw_to_be_started_again(const std::exception& caught);

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
// `pathline launch local`: a run on this machine, asked by signals to stop in order, and started again while it makes
// progress.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/file_system.h"
#include "launch/verdict.h"

namespace pathline::launch {

struct SupervisedRun {
  std::vector<std::string> command;  // mpirun and what follows
  int ranks = 1;                     // that it starts on this machine
  std::string checkpoints;           // directory; progress is a newer committed one
  Patience patience;
};

/// The newest step-N with a manifest; -1 without one.
std::int64_t newest_checkpoint(core::FileSystem& files, const std::string& checkpoints);

/// Runs until the end and returns the exit code. The caller has blocked the job's signals (launch/signals.h). USR1 and
/// USR2 go on to the ranks; TERM and INT become USR2 (checkpoint and stop), a second one goes on as another USR2, from
/// the third on as TERM, which ends the ranks without a checkpoint. Says on stderr what happened and what follows.
int supervise(core::FileSystem& files, const SupervisedRun& run);

}  // namespace pathline::launch

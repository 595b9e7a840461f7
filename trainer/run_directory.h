// SPDX-License-Identifier: Apache-2.0
// The directory that a run leaves behind, held by one job at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "checkpoint/run_lock.h"
#include "cluster/communicator.h"
#include "core/file_system.h"

namespace pathline::trainer {

class RunDirectory {
 public:
  /// All ranks. Makes the directory, checks that every rank sees the same storage, takes the run lock (rank 0) and
  /// removes what dead attempts left. Throws ExitCode::kEnvironment on all ranks together.
  RunDirectory(core::FileSystem& files, const std::string& path, cluster::Communicator& ranks);

  const std::string& path() const { return path_; }
  std::string checkpoints() const { return core::join_path(path_, "checkpoints"); }
  std::string samples() const { return core::join_path(path_, "samples"); }
  /// Empty at first; see cluster/heartbeat.h.
  std::string heartbeats() const { return core::join_path(path_, "heartbeats"); }
  /// Fencing number of the lock, the same on all ranks.
  std::uint64_t attempt() const { return attempt_; }
  /// Rank 0: whether the lock is still ours. True elsewhere.
  bool still_ours() const { return lock_ == nullptr || lock_->still_ours(); }

 private:
  std::string path_;
  std::unique_ptr<checkpoint::RunLock> lock_;  // rank 0 only
  std::uint64_t attempt_ = 0;
};

}  // namespace pathline::trainer

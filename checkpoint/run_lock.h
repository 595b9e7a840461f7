// SPDX-License-Identifier: Apache-2.0
// One job at a time writes a run directory. A file made by link(), holding who owns it, a fencing number and a counter
// that moves; no flock (network file systems). docs/formats/run-lock.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/file_system.h"

namespace pathline::checkpoint {

/// Rank 0 only.
class RunLock {
 public:
  /// Takes `directory`/lock. Where another owner holds it: waits at most `patience` heartbeats on our own monotonic clock
  /// for its counter to move; if it stands still for three intervals, or if it names our own Slurm job with a lower
  /// restart count, or a process of this host and boot that is dead, it is taken over with a higher fencing number.
  /// Otherwise throws ExitCode::kEnvironment naming the owner.
  RunLock(core::FileSystem& files, const std::string& directory, double heartbeat_seconds = 5.0);
  /// Releases it if it is still ours.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  /// The fencing number: higher than that of every earlier owner of this directory.
  std::uint64_t attempt() const;
  /// Re-reads the file.
  bool still_ours() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pathline::checkpoint

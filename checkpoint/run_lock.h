// SPDX-License-Identifier: Apache-2.0
// One job at a time writes a run directory. A file made by link(), holding who owns it, a fencing number and a counter
// that moves; no flock (network file systems). docs/formats/run-lock.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/file_system.h"

namespace pathline::checkpoint {

/// Who wants the lock, and how time passes for it. Tests give their own.
struct LockSurroundings {
  std::string host, boot, pid_namespace;
  std::int64_t pid = 0;
  std::uint64_t start_time = 0;  // of our process, in clock ticks since boot
  std::string slurm_job;         // empty outside Slurm
  std::uint64_t slurm_restart = 0;
  /// Start time of a process of this host; 0 if there is none.
  std::function<std::uint64_t(std::int64_t pid)> start_time_of;
  /// Monotonic.
  std::function<double()> seconds;
  std::function<void(double seconds)> sleep;
};
LockSurroundings real_surroundings();

/// Rank 0 only.
class RunLock {
 public:
  /// Takes the lock of `directory`. Where another owner holds it: watches it on our own monotonic clock. If its counter
  /// stands still for three intervals and six looks in a row (a look that storage holds up counts as one interval at
  /// most), or at once if it names our own Slurm job with a lower restart count or a process of this host and boot that
  /// is dead, it is taken over with a higher fencing number. Otherwise, after it moved twice, throws
  /// ExitCode::kEnvironment naming the owner.
  RunLock(core::FileSystem& files, const std::string& directory, double heartbeat_seconds = 5.0,
          const LockSurroundings& us = real_surroundings());
  /// Releases it if it is still ours.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  /// The fencing number: higher than that of every earlier owner of this directory.
  std::uint64_t attempt() const;
  /// Looks at the directory again. Any thread.
  bool still_ours() const;
  /// Moves the counter; a thread does so every `heartbeat_seconds`. Any thread.
  void beat();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pathline::checkpoint

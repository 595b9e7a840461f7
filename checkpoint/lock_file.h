// SPDX-License-Identifier: Apache-2.0
// The files behind the run lock: names, content and judgement (docs/formats/run-lock.md). Inside this folder only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "checkpoint/run_lock.h"
#include "core/file_system.h"

namespace pathline::checkpoint {

struct LockContent {
  std::uint64_t attempt = 0;
  bool released = false;
  std::uint64_t counter = 0;
  double heartbeat_seconds = 0;
  std::string slurm_job;
  std::uint64_t slurm_restart = 0;
  std::string host, boot, pid_namespace;
  std::int64_t pid = 0;
  std::uint64_t start_time = 0;
};

/// Always 1024 bytes.
std::string lock_text(const LockContent& content);
/// nullopt for anything that is no lock of version 1.
std::optional<LockContent> parse_lock(const std::string& text);

std::string lock_path(const std::string& directory, std::uint64_t attempt);
/// The highest N of the files lock.N; 0 if there is none.
std::uint64_t highest_lock(core::FileSystem& files, const std::string& directory);
/// Removes lock.M and lock.M.tmp for all M below `attempt`, and every candidate: of the dead, or of a rival, who finds
/// out.
void remove_former_locks(core::FileSystem& files, const std::string& directory, std::uint64_t attempt);

/// Whether its owner is known to have ended, without watching it. Pure but for us.start_time_of.
bool ended(const LockContent& owner, const LockSurroundings& us);

/// "process 17 on node3, Slurm job 99", for messages.
std::string description_of(const std::optional<LockContent>& owner);

}  // namespace pathline::checkpoint

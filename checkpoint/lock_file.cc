// SPDX-License-Identifier: Apache-2.0
// Fixed length, so that size and content of one read always belong together.
#include "checkpoint/lock_file.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/error.h"

namespace pathline::checkpoint {
namespace {

using nlohmann::json;

constexpr std::size_t kLockBytes = 1024;
constexpr char kLockFormat[] = "pathline-run-lock";
constexpr std::string_view kPrefix = "lock.";

/// N of lock.N, 0 for any other name.
std::uint64_t attempt_of(std::string_view name) {
  if (!name.starts_with(kPrefix)) return 0;
  name.remove_prefix(kPrefix.size());
  std::uint64_t attempt = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), attempt);
  return error == std::errc() && end == name.data() + name.size() ? attempt : 0;
}

}  // namespace

std::string lock_text(const LockContent& content) {
  const json object = {{"format", kLockFormat},
                       {"version", 1},
                       {"attempt", content.attempt},
                       {"released", content.released},
                       {"counter", content.counter},
                       {"heartbeat_seconds", content.heartbeat_seconds},
                       {"slurm_job", content.slurm_job},
                       {"slurm_restart", content.slurm_restart},
                       {"host", content.host},
                       {"boot", content.boot},
                       {"pid_namespace", content.pid_namespace},
                       {"pid", content.pid},
                       {"start_time", content.start_time}};
  std::string text = object.dump();
  PL_ASSERT(text.size() < kLockBytes);
  text.resize(kLockBytes - 1, ' ');
  return text + "\n";
}

std::optional<LockContent> parse_lock(const std::string& text) {
  try {
    const json object = json::parse(text);
    if (object.at("format") != kLockFormat || object.at("version") != 1) return std::nullopt;
    LockContent content;
    object.at("attempt").get_to(content.attempt);
    object.at("released").get_to(content.released);
    object.at("counter").get_to(content.counter);
    object.at("heartbeat_seconds").get_to(content.heartbeat_seconds);
    object.at("slurm_job").get_to(content.slurm_job);
    object.at("slurm_restart").get_to(content.slurm_restart);
    object.at("host").get_to(content.host);
    object.at("boot").get_to(content.boot);
    object.at("pid_namespace").get_to(content.pid_namespace);
    object.at("pid").get_to(content.pid);
    object.at("start_time").get_to(content.start_time);
    return content;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

std::string lock_path(const std::string& directory, std::uint64_t attempt) {
  return core::join_path(directory, core::concat(kPrefix, attempt));
}

std::uint64_t highest_lock(core::FileSystem& files, const std::string& directory) {
  std::uint64_t highest = 0;
  for (const auto& name : files.list(directory)) highest = std::max(highest, attempt_of(name));
  return highest;
}

void remove_former_locks(core::FileSystem& files, const std::string& directory, std::uint64_t attempt) {
  constexpr std::string_view kTemporary = ".tmp";
  for (const auto& name : files.list(directory)) {
    std::string_view lock = name;
    const bool temporary = lock.ends_with(kTemporary);  // of a heartbeat that was killed, or a candidate
    if (temporary) lock.remove_suffix(kTemporary.size());
    if (!lock.starts_with(kPrefix)) continue;
    const std::uint64_t other = attempt_of(lock);
    if (other == 0 ? temporary : other < attempt) files.remove(core::join_path(directory, name));
  }
}

bool ended(const LockContent& owner, const LockSurroundings& us) {
  if (owner.released) return true;
  if (!us.slurm_job.empty() && owner.slurm_job == us.slurm_job && owner.slurm_restart < us.slurm_restart) return true;
  const bool visible = owner.host == us.host && owner.boot == us.boot && owner.pid_namespace == us.pid_namespace;
  return visible && us.start_time_of(owner.pid) != owner.start_time;
}

std::string description_of(const std::optional<LockContent>& owner) {
  if (!owner) return "an unknown owner";
  const std::string job = owner->slurm_job.empty() ? "" : ", Slurm job " + owner->slurm_job;
  return core::concat("process ", owner->pid, " on ", owner->host, job);
}

}  // namespace pathline::checkpoint

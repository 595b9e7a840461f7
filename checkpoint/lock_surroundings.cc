// SPDX-License-Identifier: Apache-2.0
// Who this process is, from Linux and Slurm.
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "checkpoint/run_lock.h"
#include "core/progress.h"

namespace pathline::checkpoint {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// Field 22 of /proc/PID/stat. The second field is the program's name in parentheses and may hold blanks and
/// parentheses itself, so counting starts behind the last one. A zombie has ended although it has an entry.
std::uint64_t start_time_of(std::int64_t pid) {
  const std::string line = first_line("/proc/" + std::to_string(pid) + "/stat");
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(line.substr(name_end + 1));
  std::string field;
  for (int number = 3; number < 22; ++number) {
    fields >> field;
    if (number == 3 && (field == "Z" || field == "X")) return 0;
  }
  std::uint64_t ticks = 0;
  fields >> ticks;
  return ticks;
}

std::string link_target(const char* path) {
  char target[256];
  const ssize_t length = ::readlink(path, target, sizeof target);
  return length > 0 ? std::string(target, static_cast<std::size_t>(length)) : "";
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

LockSurroundings real_surroundings() {
  LockSurroundings us;
  us.host = core::host_name();
  us.boot = first_line("/proc/sys/kernel/random/boot_id");
  us.pid_namespace = link_target("/proc/self/ns/pid");
  us.pid = ::getpid();
  us.start_time = start_time_of(us.pid);
  us.slurm_job = environment("SLURM_JOB_ID");
  const std::string restart = environment("SLURM_RESTART_COUNT");
  std::from_chars(restart.data(), restart.data() + restart.size(), us.slurm_restart);
  us.start_time_of = start_time_of;
  us.seconds = core::monotonic_seconds;
  us.sleep = [](double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); };
  return us;
}

}  // namespace pathline::checkpoint

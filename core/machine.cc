// SPDX-License-Identifier: Apache-2.0
#include "core/machine.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>

namespace pathline::core {
namespace {

template <class Clock>
double seconds_of() {
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

}  // namespace

double monotonic_seconds() { return seconds_of<std::chrono::steady_clock>(); }
double wall_seconds() { return seconds_of<std::chrono::system_clock>(); }

std::string host_name() {
  std::array<char, 256> name{};  // POSIX: at most 255 and a zero
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown-host";
}

void raise_open_file_limit() {
  // Containers often allow 2^30, and launchers among the programs that we start close every number below the limit.
  constexpr rlim_t kMost = 1 << 20;
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = std::min(limit.rlim_max, kMost);
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = wanted;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace pathline::core

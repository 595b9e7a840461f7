// SPDX-License-Identifier: Apache-2.0
#include "core/machine.h"

#include <unistd.h>

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

}  // namespace pathline::core

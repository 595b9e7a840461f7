// SPDX-License-Identifier: Apache-2.0
// Clocks, the name of this machine, and what a process may have of it.
#pragma once

#include <string>

namespace pathline::core {

/// Seconds of a monotonic clock.
double monotonic_seconds();
/// Seconds since 1970, for people and files; never for durations.
double wall_seconds();

std::string host_name();

/// Lets this process, and the programs that it starts, have as many files open as its hard limit allows: data sets in
/// many parts keep one open for each, and the usual soft limit is 1024. Changes nothing where that is refused.
void raise_open_file_limit();

}  // namespace pathline::core

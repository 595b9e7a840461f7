// SPDX-License-Identifier: Apache-2.0
// Clocks and the name of this machine.
#pragma once

#include <string>

namespace pathline::core {

/// Seconds of a monotonic clock.
double monotonic_seconds();
/// Seconds since 1970, for people and files; never for durations.
double wall_seconds();

std::string host_name();

}  // namespace pathline::core

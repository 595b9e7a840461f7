// SPDX-License-Identifier: Apache-2.0
// How much work is handed out at once, to ranks of a job and to workers of a pool alike.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pathline::sampler {

/// Of a range of ids: long against what asking for one costs, short against what a kill may lose.
inline constexpr double kSecondsOfRange = 10;

/// Samples in a range for one of `makers`, of `left` that nobody has yet: `wanted`, and towards the end half of an even
/// share, so that all end together.
inline std::int64_t shrinking_range(double wanted, std::int64_t left, std::int64_t makers) {
  return std::min(static_cast<std::int64_t>(std::min(wanted, 1e15)), (left + 2 * makers - 1) / (2 * makers));
}

}  // namespace pathline::sampler

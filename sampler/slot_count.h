// SPDX-License-Identifier: Apache-2.0
// How many rows a network's batch may have, and has where nobody says. No LibTorch: the pool's dispatcher decides it
// for its jobs as `pathline sample` does.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pathline::sampler {

/// Kernels treat batches of other sizes unevenly: a row's bits would depend on its place.
constexpr std::int64_t kSlotMultiple = 16;

/// For `count` samples; by count alone, so that any number of ranks and workers chooses the same.
constexpr std::int64_t usual_slots(std::int64_t count) {
  constexpr std::int64_t kMost = 64;
  return std::min(kMost, (count + kSlotMultiple - 1) / kSlotMultiple * kSlotMultiple);
}

}  // namespace pathline::sampler

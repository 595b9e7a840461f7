// SPDX-License-Identifier: Apache-2.0
// What slots can reach at best: a bound beside which generation is measured.
#pragma once

#include <cstdint>
#include <span>

namespace pathline::sampler {

/// Forward passes until samples of so many evaluations each are done, where each takes a row of `slots` that is free
/// first (Graham's list scheduling, in order of ids). Pure.
std::int64_t list_schedule(std::span<const std::int64_t> nfe, std::int64_t slots);

}  // namespace pathline::sampler

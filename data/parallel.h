// SPDX-License-Identifier: Apache-2.0
// A loop over independent items on several threads.
#pragma once

#include <cstdint>
#include <functional>

namespace pathline::data {

/// body(i) for every i of [first, last), in any order. The first exception is thrown here after all threads ended.
void parallel_for(std::int64_t first, std::int64_t last, int threads, const std::function<void(std::int64_t)>& body);

}  // namespace pathline::data

// SPDX-License-Identifier: Apache-2.0
// A gradient enters the fp32 sum of its slice: sum = gradient, or sum += gradient, element by element (any number of
// threads, the same bits).
#pragma once

#include <cstddef>
#include <cstdint>

namespace pathline::trainer {

void take_fp32(std::size_t elements, const float* gradient, bool add, float* sum);
/// bf16 numbers as they lie in memory: the upper half of an fp32 number.
void take_bf16(std::size_t elements, const std::uint16_t* gradient, bool add, float* sum);

}  // namespace pathline::trainer

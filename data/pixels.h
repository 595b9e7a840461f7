// SPDX-License-Identifier: Apache-2.0
// Bytes to numbers: pixels as stored, (height, width, channels) of 8 bits, to (channels, height, width) in [-1, 1].
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/random.h"

namespace pathline::data {

/// out = level / 127.5 - 1, in fp32, rounded after each operation on every machine; `mirrored` exchanges left and
/// right. `pixels` and `out` have height * width * channels elements. `past_caches`: `out` is part of more than caches
/// hold until it is read, which is then written faster past them.
void pixels_to_values(std::span<const std::byte> pixels, std::int64_t height, std::int64_t width, std::int64_t channels,
                      bool mirrored, std::span<float> out, bool past_caches = false);

/// Adds (u - 1/2) / 127.5 to the values of one item, u the uniform draw at each one's place: a level k then
/// stands for all numbers that round to it, and a density of such values is bounded.
void dequantize(const core::Draws& draws, std::span<float> values);

}  // namespace pathline::data

// SPDX-License-Identifier: Apache-2.0
// Pictures of another size or number of channels. Pure functions.
#pragma once

#include "data/image.h"

namespace pathline::data {

/// The largest square in the middle; where the difference is odd, the extra row or column is cut at the end.
Image centre_square(const Image& image);

/// How pixels are weighted: by the area that they cover, linearly, by Keys' cubic (1981, a = -1/2), by a sinc windowed
/// over three lobes. All but the first look beyond the pixels that they replace.
enum class Filter { kBox, kBilinear, kBicubic, kLanczos };

/// Bit for bit what Pillow's Image.resize((width, height), FILTER) makes of 8-bit pixels: first the width, then the
/// height, each without aliasing (the kernel is as wide as the step), 8 bits in between.
Image resized(const Image& image, std::int64_t height, std::int64_t width, Filter filter);

/// In the middle of a black square of `size`, which must not be smaller than the picture.
Image padded(const Image& image, std::int64_t size);

/// Every pixel `factor` times as wide and high.
Image magnified(const Image& image, std::int64_t factor);

/// Luma of ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B. Grey pictures stay.
Image to_grey(const Image& image);
/// Grey in all three channels. RGB pictures stay.
Image to_rgb(const Image& image);

}  // namespace pathline::data

// SPDX-License-Identifier: Apache-2.0
// Pictures of another size or number of channels. Pure functions.
#pragma once

#include "data/image.h"

namespace pathline::data {

/// The largest square in the middle; where the difference is odd, the extra row or column is cut at the end.
Image centre_square(const Image& image);

/// Smaller axes by area (every source pixel counts with the part of it that is covered), larger ones by Catmull-Rom
/// cubics (Keys 1981, a = -1/2) with the edge pixels going on outside. Rounded to nearest.
Image resized(const Image& image, std::int64_t height, std::int64_t width);

/// In the middle of a black square of `size`, which must not be smaller than the picture.
Image padded(const Image& image, std::int64_t size);

/// Every pixel `factor` times as wide and high.
Image magnified(const Image& image, std::int64_t factor);

/// Luma of ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B. Grey pictures stay.
Image to_grey(const Image& image);
/// Grey in all three channels. RGB pictures stay.
Image to_rgb(const Image& image);

}  // namespace pathline::data

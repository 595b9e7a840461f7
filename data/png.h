// SPDX-License-Identifier: Apache-2.0
// PNG files in memory, through libpng.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"

namespace pathline::data {

/// The bytes of a PNG file. `image` is grey (1 channel) or RGB (3 channels).
std::vector<std::byte> encode_png(const Image& image);

/// Any PNG as 8-bit grey or RGB: palettes are looked up, 16 bits scaled to 8, transparency laid over white, gamma and
/// colour profiles left alone; turned as its EXIF orientation says. At most 2^28 pixels. Throws core::Error (kInput)
/// naming `origin`.
Image decode_png(std::span<const std::byte> file, const std::string& origin);

bool is_png(std::span<const std::byte> start_of_file);

}  // namespace pathline::data

// SPDX-License-Identifier: Apache-2.0
// JPEG files in memory, through libjpeg-turbo.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "data/image.h"

namespace pathline::data {

/// Any JPEG as 8-bit grey or RGB (CMYK and YCCK, as Adobe writes them, included), turned as its EXIF orientation says.
/// At most 2^28 pixels. A file that ends early or whose codes are corrupt is an error: core::Error (kInput) naming
/// `origin`.
Image decode_jpeg(std::span<const std::byte> file, const std::string& origin);

bool is_jpeg(std::span<const std::byte> start_of_file);

}  // namespace pathline::data

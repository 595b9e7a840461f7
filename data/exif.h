// SPDX-License-Identifier: Apache-2.0
// Which way up a camera was held (EXIF 2.3, JEITA CP-3451, tag 0x0112), and pictures turned accordingly.
#pragma once

#include <cstddef>
#include <span>

#include "data/image.h"

namespace pathline::data {

/// The orientation, 1 to 8, in a TIFF header and its first directory, in either byte order. 1 (as stored) where there
/// is none, or where it cannot be read: a picture is not refused for what is written about it.
int tiff_orientation(std::span<const std::byte> tiff);

/// The same in the content of a JPEG APP1 segment: "Exif", two zero bytes, TIFF.
int exif_orientation(std::span<const std::byte> app1);

/// The picture as it is to be seen: what Pillow's ImageOps.exif_transpose makes of it.
Image upright(Image image, int orientation);

}  // namespace pathline::data

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what Pillow makes of pictures cut to a centre square and resized, as numbers that tests/data/resize_test.cc
compares with.

    pip install pillow
    scripts/resize_parity.py > tests/data/pillow_golden.h

Pixel (y, x, c) of a picture is ((37 y + 11 x + 101 c) (5 y + 3 x + 7) >> 3) mod 256, in whole numbers: steep and smooth
in turn, so that wrong weights, clamping and edges show.
"""
import PIL
from PIL import Image

SIZES = [(64, 64, 64), (64, 64, 32), (61, 97, 24), (97, 61, 25), (33, 33, 64), (7, 9, 31), (300, 200, 1), (1, 1, 5),
         (5, 4, 3), (128, 131, 127), (2, 500, 3)]  # height, width, size asked for


def picture(height, width, channels):
    pixels = bytes(((37 * y + 11 * x + 101 * c) * (5 * y + 3 * x + 7) >> 3) % 256
                   for y in range(height) for x in range(width) for c in range(channels))
    return Image.frombytes("L" if channels == 1 else "RGB", (width, height), pixels)


def centre_square(image):
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


print(f"""// SPDX-License-Identifier: Apache-2.0
// Written by scripts/resize_parity.py with Pillow {PIL.__version__}.
#pragma once

#include <array>
#include <cstdint>

#include "data/resize.h"

namespace pathline::data {{

/// A picture of the script's formula, cut to its centre square and resized to `size`.
struct Resized {{
  std::int64_t height, width, channels, size;
  Filter filter;
  std::uint32_t crc32c;                // of all pixels
  std::array<std::uint8_t, 3> pixels;  // the first channel's first, middle and last: they say how far off a result is
}};

inline constexpr Resized kPillow[] = {{""")
for height, width, size in SIZES:
    for channels in (1, 3):
        for name in ("BOX", "BILINEAR", "BICUBIC", "LANCZOS"):
            made = centre_square(picture(height, width, channels)).resize((size, size), Image.Resampling[name])
            pixels = made.tobytes()
            some = [pixels[i * channels] for i in (0, size // 2 * size + size // 2, size * size - 1)]
            print(f"    {{{height}, {width}, {channels}, {size}, Filter::k{name.title()}, 0x{crc32c(pixels):08x}, "
                  f"{{{some[0]}, {some[1]}, {some[2]}}}}},")
print("""};

}  // namespace pathline::data""")

// SPDX-License-Identifier: Apache-2.0
// Written by scripts/resize_parity.py with Pillow 13.0.0.
#pragma once

#include <array>
#include <cstdint>

#include "data/resize.h"

namespace pathline::data {

/// A picture of the script's formula, cut to its centre square and resized to `size`.
struct Resized {
  std::int64_t height, width, channels, size;
  Filter filter;
  std::uint32_t crc32c;                // of all pixels
  std::array<std::uint8_t, 3> pixels;  // the first channel's first, middle and last: they say how far off a result is
};

inline constexpr Resized kPillow[] = {
    {64, 64, 1, 64, Filter::kBox, 0x7f8e257d, {0, 64, 134}},
    {64, 64, 1, 64, Filter::kBilinear, 0x7f8e257d, {0, 64, 134}},
    {64, 64, 1, 64, Filter::kBicubic, 0x7f8e257d, {0, 64, 134}},
    {64, 64, 1, 64, Filter::kLanczos, 0x7f8e257d, {0, 64, 134}},
    {64, 64, 3, 64, Filter::kBox, 0x96e1e4c5, {0, 64, 134}},
    {64, 64, 3, 64, Filter::kBilinear, 0x96e1e4c5, {0, 64, 134}},
    {64, 64, 3, 64, Filter::kBicubic, 0x96e1e4c5, {0, 64, 134}},
    {64, 64, 3, 64, Filter::kLanczos, 0x96e1e4c5, {0, 64, 134}},
    {64, 64, 1, 32, Filter::kBox, 0x1fc55380, {40, 168, 180}},
    {64, 64, 1, 32, Filter::kBilinear, 0x2b5b2d4b, {62, 150, 173}},
    {64, 64, 1, 32, Filter::kBicubic, 0xf87db348, {51, 158, 178}},
    {64, 64, 1, 32, Filter::kLanczos, 0x20f93823, {47, 162, 179}},
    {64, 64, 3, 32, Filter::kBox, 0xa64800f4, {40, 168, 180}},
    {64, 64, 3, 32, Filter::kBilinear, 0xce4286aa, {62, 150, 173}},
    {64, 64, 3, 32, Filter::kBicubic, 0xd1f6997d, {51, 158, 178}},
    {64, 64, 3, 32, Filter::kLanczos, 0xa39b4c33, {47, 162, 179}},
    {61, 97, 1, 24, Filter::kBox, 0x4ec634ed, {91, 94, 135}},
    {61, 97, 1, 24, Filter::kBilinear, 0xde5fe898, {104, 133, 139}},
    {61, 97, 1, 24, Filter::kBicubic, 0xf9ac4095, {100, 140, 139}},
    {61, 97, 1, 24, Filter::kLanczos, 0x7f380489, {100, 149, 139}},
    {61, 97, 3, 24, Filter::kBox, 0x569e0bb2, {91, 94, 135}},
    {61, 97, 3, 24, Filter::kBilinear, 0x2ee38d50, {104, 133, 139}},
    {61, 97, 3, 24, Filter::kBicubic, 0x215ff205, {100, 140, 139}},
    {61, 97, 3, 24, Filter::kLanczos, 0x00131825, {100, 149, 139}},
    {97, 61, 1, 25, Filter::kBox, 0x22c2e901, {78, 157, 110}},
    {97, 61, 1, 25, Filter::kBilinear, 0xd0a774a7, {90, 149, 111}},
    {97, 61, 1, 25, Filter::kBicubic, 0x8f1f4758, {85, 160, 109}},
    {97, 61, 1, 25, Filter::kLanczos, 0x84ca768f, {81, 168, 109}},
    {97, 61, 3, 25, Filter::kBox, 0x6f9d3ef2, {78, 157, 110}},
    {97, 61, 3, 25, Filter::kBilinear, 0xfb8f376f, {90, 149, 111}},
    {97, 61, 3, 25, Filter::kBicubic, 0x28684701, {85, 160, 109}},
    {97, 61, 3, 25, Filter::kLanczos, 0x1d352455, {81, 168, 109}},
    {33, 33, 1, 64, Filter::kBox, 0xbcc8b894, {0, 160, 64}},
    {33, 33, 1, 64, Filter::kBilinear, 0x10ead5ec, {0, 130, 64}},
    {33, 33, 1, 64, Filter::kBicubic, 0xb2fcc05b, {0, 132, 41}},
    {33, 33, 1, 64, Filter::kLanczos, 0xdbce829d, {0, 129, 31}},
    {33, 33, 3, 64, Filter::kBox, 0xae07c8b5, {0, 160, 64}},
    {33, 33, 3, 64, Filter::kBilinear, 0x92456566, {0, 130, 64}},
    {33, 33, 3, 64, Filter::kBicubic, 0x0a444a4f, {0, 132, 41}},
    {33, 33, 3, 64, Filter::kLanczos, 0x291166a2, {0, 129, 31}},
    {7, 9, 1, 31, Filter::kBox, 0xb524d411, {13, 146, 119}},
    {7, 9, 1, 31, Filter::kBilinear, 0x85c24664, {13, 146, 119}},
    {7, 9, 1, 31, Filter::kBicubic, 0x9fc33763, {1, 146, 99}},
    {7, 9, 1, 31, Filter::kLanczos, 0x0e1ac8d1, {4, 146, 64}},
    {7, 9, 3, 31, Filter::kBox, 0x3e67b395, {13, 146, 119}},
    {7, 9, 3, 31, Filter::kBilinear, 0x73cf071e, {13, 146, 119}},
    {7, 9, 3, 31, Filter::kBicubic, 0x42bda7ff, {1, 146, 99}},
    {7, 9, 3, 31, Filter::kLanczos, 0x0215ed1a, {4, 146, 64}},
    {300, 200, 1, 1, Filter::kBox, 0x7df63b78, {127, 127, 127}},
    {300, 200, 1, 1, Filter::kBilinear, 0x7df63b78, {127, 127, 127}},
    {300, 200, 1, 1, Filter::kBicubic, 0x7df63b78, {127, 127, 127}},
    {300, 200, 1, 1, Filter::kLanczos, 0x7df63b78, {127, 127, 127}},
    {300, 200, 3, 1, Filter::kBox, 0x03733e10, {127, 127, 127}},
    {300, 200, 3, 1, Filter::kBilinear, 0x03733e10, {127, 127, 127}},
    {300, 200, 3, 1, Filter::kBicubic, 0x03733e10, {127, 127, 127}},
    {300, 200, 3, 1, Filter::kLanczos, 0x03733e10, {127, 127, 127}},
    {1, 1, 1, 5, Filter::kBox, 0x1db1bf80, {0, 0, 0}},
    {1, 1, 1, 5, Filter::kBilinear, 0x1db1bf80, {0, 0, 0}},
    {1, 1, 1, 5, Filter::kBicubic, 0x1db1bf80, {0, 0, 0}},
    {1, 1, 1, 5, Filter::kLanczos, 0x1db1bf80, {0, 0, 0}},
    {1, 1, 3, 5, Filter::kBox, 0x25c0530d, {0, 0, 0}},
    {1, 1, 3, 5, Filter::kBilinear, 0x25c0530d, {0, 0, 0}},
    {1, 1, 3, 5, Filter::kBicubic, 0x25c0530d, {0, 0, 0}},
    {1, 1, 3, 5, Filter::kLanczos, 0x25c0530d, {0, 0, 0}},
    {5, 4, 1, 3, Filter::kBox, 0x0b7c5a29, {0, 114, 46}},
    {5, 4, 1, 3, Filter::kBilinear, 0x79ac4948, {22, 114, 88}},
    {5, 4, 1, 3, Filter::kBicubic, 0x0f733378, {10, 113, 77}},
    {5, 4, 1, 3, Filter::kLanczos, 0x11d70728, {0, 114, 70}},
    {5, 4, 3, 3, Filter::kBox, 0x61e1b69a, {0, 114, 46}},
    {5, 4, 3, 3, Filter::kBilinear, 0x0e3354de, {22, 114, 88}},
    {5, 4, 3, 3, Filter::kBicubic, 0xcf065c04, {10, 113, 77}},
    {5, 4, 3, 3, Filter::kLanczos, 0x64e8b449, {0, 114, 70}},
    {128, 131, 1, 127, Filter::kBox, 0xdd68b41e, {13, 189, 118}},
    {128, 131, 1, 127, Filter::kBilinear, 0x1c149318, {14, 189, 116}},
    {128, 131, 1, 127, Filter::kBicubic, 0x16c7fd81, {13, 216, 116}},
    {128, 131, 1, 127, Filter::kLanczos, 0x56ed7744, {13, 245, 116}},
    {128, 131, 3, 127, Filter::kBox, 0x06380aa8, {13, 189, 118}},
    {128, 131, 3, 127, Filter::kBilinear, 0x8f6011ec, {14, 189, 116}},
    {128, 131, 3, 127, Filter::kBicubic, 0xd01a0bc9, {13, 216, 116}},
    {128, 131, 3, 127, Filter::kLanczos, 0xaee232bb, {13, 245, 116}},
    {2, 500, 1, 3, Filter::kBox, 0x7ea4046f, {102, 245, 245}},
    {2, 500, 1, 3, Filter::kBilinear, 0xf13de4c8, {102, 169, 245}},
    {2, 500, 1, 3, Filter::kBicubic, 0x289f140c, {94, 169, 255}},
    {2, 500, 1, 3, Filter::kLanczos, 0xd8e5e2a3, {88, 169, 255}},
    {2, 500, 3, 3, Filter::kBox, 0x0cddc5c0, {102, 245, 245}},
    {2, 500, 3, 3, Filter::kBilinear, 0x2147a8dd, {102, 169, 245}},
    {2, 500, 3, 3, Filter::kBicubic, 0x1d0b21a6, {94, 169, 255}},
    {2, 500, 3, 3, Filter::kLanczos, 0x6b544365, {88, 169, 255}},
};

}  // namespace pathline::data

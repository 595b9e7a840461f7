// SPDX-License-Identifier: Apache-2.0
// Against the formula, one pixel after the other, for every width around those that registers hold.
#include "data/pixels.h"

#include <gtest/gtest.h>

#include <vector>

namespace pathline::data {
namespace {

class Pixels : public testing::TestWithParam<bool> {};  // past the caches

TEST_P(Pixels, AreTheirLevelsOver127AndAHalfLessOne) {
  for (const std::int64_t channels : {1, 2, 3, 4}) {
    for (std::int64_t width = 1; width <= 41; ++width) {
      const std::int64_t height = 1 + width % 5, count = height * width * channels;
      std::vector<std::byte> levels(static_cast<std::size_t>(count));
      for (std::size_t i = 0; i < levels.size(); ++i) levels[i] = static_cast<std::byte>(i * 37 + 11);
      for (const bool mirrored : {false, true}) {
        std::vector<float> values(levels.size(), -7.0f);
        pixels_to_values(levels, height, width, channels, mirrored, values, GetParam());
        for (std::int64_t i = 0; i < count; ++i) {
          const std::int64_t c = i / (height * width), y = i / width % height, x = i % width;
          const std::int64_t from = (y * width + (mirrored ? width - 1 - x : x)) * channels + c;
          const float level = std::to_integer<std::uint8_t>(levels[static_cast<std::size_t>(from)]);
          const float scaled = level * (1 / 127.5f);
          ASSERT_EQ(values[static_cast<std::size_t>(i)], scaled - 1)
              << channels << " channels, width " << width << ", value " << i << (mirrored ? ", mirrored" : "");
        }
      }
    }
  }
}

TEST_P(Pixels, NothingElseIsWritten) {
  const std::vector<std::byte> levels(3 * 4 * 24, std::byte{255});
  std::vector<float> room(levels.size() + 32, -7.0f);
  for (const std::size_t offset : {16u, 17u, 18u, 20u}) {  // multiples of 16 bytes and others
    for (const bool mirrored : {false, true}) {
      std::fill(room.begin(), room.end(), -7.0f);
      pixels_to_values(levels, 4, 24, 3, mirrored, std::span(room).subspan(offset, levels.size()), GetParam());
      for (std::size_t i = 0; i < room.size(); ++i) {
        const bool inside = i >= offset && i < offset + levels.size();
        ASSERT_EQ(room[i], inside ? 255 * (1 / 127.5f) - 1 : -7.0f) << "offset " << offset << ", place " << i;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, Pixels, testing::Bool(),
                         [](const auto& past) { return past.param ? "PastCaches" : "Cached"; });

}  // namespace
}  // namespace pathline::data

// SPDX-License-Identifier: Apache-2.0
#include "data/jpeg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/made_jpeg.h"

namespace pathline::data {
namespace {

std::vector<std::byte> encoded(const Image& image, J_COLOR_SPACE space, bool ycck = false) {
  return tests::made_jpeg(image, space, {.set = [ycck](jpeg_compress_struct& jpeg) {
                            if (ycck) jpeg_set_colorspace(&jpeg, JCS_YCCK);
                          }});
}

Image ramp(std::int64_t height, std::int64_t width, std::int64_t channels) {
  Image image(height, width, channels);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (std::int64_t c = 0; c < channels; ++c) image.at(y, x, c) = static_cast<std::uint8_t>(40 + 3 * x + 2 * y);
    }
  }
  return image;
}

TEST(Jpeg, GreyComesBackWithinTheRoundingOfTheTransform) {
  const Image image = ramp(24, 16, 1);
  const Image back = decode_jpeg(encoded(image, JCS_GRAYSCALE), "test");
  ASSERT_EQ(back.height, 24);
  ASSERT_EQ(back.width, 16);
  ASSERT_EQ(back.channels, 1);
  // Quality 100 quantises by 1: half a unit for each of 64 coefficients, far less than 2 after the inverse transform.
  for (std::size_t i = 0; i < image.pixels.size(); ++i) EXPECT_NEAR(back.pixels[i], image.pixels[i], 2);
}

TEST(Jpeg, ColourKeepsTheOrderOfChannels) {
  Image image(16, 16, 3);
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    image.pixels[i] = 200;
    image.pixels[i + 1] = 120;
    image.pixels[i + 2] = 30;
  }
  const Image back = decode_jpeg(encoded(image, JCS_RGB), "test");
  ASSERT_EQ(back.channels, 3);
  // One flat colour: only the rounding of YCbCr and back, at most 2 (1.772 times half a unit of Cb, and its own half).
  for (std::size_t i = 0; i < back.pixels.size(); ++i) EXPECT_NEAR(back.pixels[i], image.pixels[i], 2);
}

TEST(Jpeg, InvertedCmykBecomesRgb) {
  Image image(8, 8, 4);
  for (std::size_t i = 0; i < image.pixels.size(); i += 4) {
    image.pixels[i] = 255;      // no cyan
    image.pixels[i + 1] = 128;  // half the magenta
    image.pixels[i + 2] = 0;    // all yellow
    image.pixels[i + 3] = 128;  // half black
  }
  for (const bool ycck : {false, true}) {
    const Image back = decode_jpeg(encoded(image, JCS_CMYK, ycck), "test");
    ASSERT_EQ(back.channels, 3);
    EXPECT_NEAR(back.pixels[0], 128, 2);  // 255 * 128 / 255, and the quantisation as above
    EXPECT_NEAR(back.pixels[1], 64, 2);
    EXPECT_NEAR(back.pixels[2], 0, 2);
  }
}

TEST(Jpeg, AFileThatEndsEarlyIsNamed) {
  auto file = encoded(ramp(64, 64, 1), JCS_GRAYSCALE);
  for (const std::size_t size : {std::size_t{0}, std::size_t{10}, file.size() / 2, file.size() - 40}) {
    const std::vector<std::byte> cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    try {
      decode_jpeg(cut, "dogs/cut.jpg");
      FAIL() << size << " bytes were decoded";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kInput);
      EXPECT_THAT(error.what(), testing::HasSubstr("dogs/cut.jpg"));
    }
  }
}

TEST(Jpeg, AnyFlippedByteGivesAPictureOrAnError) {
  const auto file = encoded(ramp(16, 16, 3), JCS_RGB);
  std::size_t refused = 0;
  for (std::size_t at = 0; at < file.size(); ++at) {
    auto damaged = file;
    damaged[at] ^= std::byte{0xff};
    try {
      const Image image = decode_jpeg(damaged, "test");
      EXPECT_EQ(image.pixels.size(), static_cast<std::size_t>(image.height * image.width * image.channels));
    } catch (const core::Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 0u);
}

}  // namespace
}  // namespace pathline::data

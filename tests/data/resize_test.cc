// SPDX-License-Identifier: Apache-2.0
#include "data/resize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/crc32c.h"
#include "core/error.h"
#include "data/contact_sheet.h"
#include "tests/data/pillow_golden.h"

namespace pathline::data {
namespace {

using testing::Each;
using testing::ElementsAre;

Image row(std::vector<std::uint8_t> values) {
  Image image;
  image.height = image.channels = 1;
  image.width = static_cast<std::int64_t>(values.size());
  image.pixels = std::move(values);
  return image;
}

/// The picture of scripts/resize_parity.py.
Image formula(std::int64_t height, std::int64_t width, std::int64_t channels) {
  Image image(height, width, channels);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (std::int64_t c = 0; c < channels; ++c) {
        image.at(y, x, c) = static_cast<std::uint8_t>((37 * y + 11 * x + 101 * c) * (5 * y + 3 * x + 7) >> 3);
      }
    }
  }
  return image;
}

TEST(Resize, EveryFilterAndSizeIsPillowsBitForBit) {
  for (const Resized& wanted : kPillow) {
    const Image out = resized(centre_square(formula(wanted.height, wanted.width, wanted.channels)), wanted.size,
                              wanted.size, wanted.filter);
    const std::int64_t middle = wanted.size / 2, last = wanted.size - 1;
    EXPECT_THAT(wanted.pixels, ElementsAre(out.at(0, 0, 0), out.at(middle, middle, 0), out.at(last, last, 0)));
    EXPECT_EQ(core::crc32c(out.bytes()), wanted.crc32c)
        << wanted.height << " x " << wanted.width << " x " << wanted.channels << " to " << wanted.size << ", filter "
        << static_cast<int>(wanted.filter);
  }
}

TEST(Resize, AConstantPictureStaysConstantAtAnySize) {
  for (const Filter filter : {Filter::kBox, Filter::kBilinear, Filter::kBicubic, Filter::kLanczos}) {
    for (const auto& [height, width] : {std::pair{5, 3}, {7, 31}, {64, 64}, {1, 1}, {33, 8}}) {
      EXPECT_THAT(resized(Image(16, 16, 3, 201), height, width, filter).pixels, Each(201)) << height << " x " << width;
    }
  }
}

TEST(Resize, ABoxCountsPixelsWhoseMiddleItHolds) {
  EXPECT_THAT(resized(row({10, 20, 30, 50}), 1, 2, Filter::kBox).pixels, ElementsAre(15, 40));
}

TEST(Resize, CubicsReproduceALinearRampInside) {
  // Keys' cubic with a = -1/2 is exact for polynomials up to the second degree, away from the edges.
  Image image(1, 16, 1);
  for (std::int64_t x = 0; x < 16; ++x) image.at(0, x, 0) = static_cast<std::uint8_t>(20 + 8 * x);
  const Image twice = resized(image, 1, 32, Filter::kBicubic);
  for (std::int64_t x = 4; x < 28; ++x) EXPECT_EQ(twice.at(0, x, 0), 18 + 4 * x);  // 20 + 8 ((x + 1/2)/2 - 1/2)
}

TEST(Resize, TheSquareIsCutFromTheMiddle) {
  EXPECT_THAT(centre_square(row({1, 2, 3, 4})).pixels, ElementsAre(2));
  Image image(3, 2, 1);
  image.pixels = {1, 2, 3, 4, 5, 6};
  EXPECT_THAT(centre_square(image).pixels, ElementsAre(1, 2, 3, 4));
}

TEST(Resize, PaddingIsBlackAndTheMiddleUntouched) {
  const Image out = padded(Image(2, 2, 1, 9), 4);
  EXPECT_THAT(out.pixels, ElementsAre(0, 0, 0, 0, 0, 9, 9, 0, 0, 9, 9, 0, 0, 0, 0, 0));
  EXPECT_THROW(padded(Image(5, 2, 1), 4), core::Error);
}

TEST(Resize, GreyIsTheLumaOfBt601) {
  Image image(1, 4, 3);
  image.pixels = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255};
  EXPECT_THAT(to_grey(image).pixels, ElementsAre(76, 150, 29, 255));
  EXPECT_THAT(to_rgb(row({7, 8})).pixels, ElementsAre(7, 7, 7, 8, 8, 8));
  EXPECT_THROW(to_grey(Image(1, 2, 4)), core::Error);
  EXPECT_THROW(to_rgb(Image(1, 2, 4)), core::Error);
}

TEST(Grid, PicturesLieInRowsInOrder) {
  const std::vector<Image> images = {row({1}), row({2}), row({3})};
  EXPECT_THAT(grid_of(images, 2).pixels, ElementsAre(1, 2, 3, 24));
  const Image large = grid_of(images, 3, 2, 1);
  EXPECT_EQ(large.width, 3 * 2 + 4);
  EXPECT_EQ(large.height, 2 + 2);
  EXPECT_EQ(large.at(1, 1, 0), 1);
  EXPECT_EQ(large.at(2, 8, 0), 3);
  EXPECT_EQ(large.at(0, 0, 0), 24);
}

}  // namespace
}  // namespace pathline::data

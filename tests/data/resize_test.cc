// SPDX-License-Identifier: Apache-2.0
#include "data/resize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/contact_sheet.h"

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

TEST(Resize, AConstantPictureStaysConstantAtAnySize) {
  for (const auto& [height, width] : {std::pair{5, 3}, {7, 31}, {64, 64}, {1, 1}, {33, 8}}) {
    EXPECT_THAT(resized(Image(16, 16, 3, 201), height, width).pixels, Each(201)) << height << " x " << width;
  }
}

TEST(Resize, ByAreaCountsEveryPixelWithItsCoveredPart) {
  EXPECT_THAT(resized(row({10, 20, 30, 50}), 1, 2).pixels, ElementsAre(15, 40));
  // Three pixels onto two: 1.5 source pixels each, (10 + 20/2) / 1.5 = 13.3 and (20/2 + 70) / 1.5 = 53.3.
  EXPECT_THAT(resized(row({10, 20, 70}), 1, 2).pixels, ElementsAre(13, 53));
}

TEST(Resize, ARampStaysTheSameRampWhenReduced) {
  Image image(4, 64, 1);
  for (std::int64_t y = 0; y < 4; ++y) {
    for (std::int64_t x = 0; x < 64; ++x) image.at(y, x, 0) = static_cast<std::uint8_t>(4 * x);
  }
  const Image half = resized(image, 4, 32);
  for (std::int64_t x = 0; x < 32; ++x) EXPECT_EQ(half.at(2, x, 0), 8 * x + 2);  // mean of 4(2x) and 4(2x + 1)
}

TEST(Resize, CubicsReproduceALinearRampInside) {
  // Catmull-Rom interpolation is exact for polynomials up to the second degree, away from the edges.
  Image image(1, 16, 1);
  for (std::int64_t x = 0; x < 16; ++x) image.at(0, x, 0) = static_cast<std::uint8_t>(20 + 8 * x);
  const Image twice = resized(image, 1, 32);
  for (std::int64_t x = 4; x < 28; ++x) EXPECT_EQ(twice.at(0, x, 0), 18 + 4 * x);  // 20 + 8 ((x + 1/2)/2 - 1/2)
}

TEST(Resize, CubicWeightsAreThoseOfKeys) {
  // At a quarter of the way the weights with a = -1/2 are -9/128, 111/128, 29/128, -3/128.
  const Image twice = resized(row({0, 0, 128, 0, 0}), 1, 10);
  EXPECT_EQ(twice.at(0, 5, 0), 111);
  EXPECT_EQ(twice.at(0, 6, 0), 29);
  EXPECT_EQ(twice.at(0, 7, 0), 0);  // -9 is clamped
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

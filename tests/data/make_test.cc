// SPDX-License-Identifier: Apache-2.0
#include "data/made.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/error.h"
#include "core/random.h"
#include "data/import.h"
#include "data/verify.h"
#include "tests/support/temporary_directory.h"

namespace pathline::data {
namespace {

TEST(Shapes, AnItemDependsOnSeedAndIndexAlone) {
  const Image image = draw_shape(5, 32, 3, 41);
  EXPECT_EQ(draw_shape(5, 32, 3, 41), image);
  EXPECT_NE(draw_shape(5, 32, 4, 41), image);
  EXPECT_NE(draw_shape(5, 32, 3, 42), image);
  const auto few = make_source("shapes", {50, 32, 3}), many = make_source("shapes", {5000, 32, 3});
  Image a(32, 32, 3), b(32, 32, 3);
  few->read(41, std::as_writable_bytes(std::span(a.pixels)));
  many->read(41, std::as_writable_bytes(std::span(b.pixels)));
  EXPECT_EQ(a, b);
}

TEST(Shapes, ClassesAreBalancedAndNamed) {
  const auto source = make_source("shapes", {80, 16, 0});
  EXPECT_EQ(source->info().class_names, shape_names());
  EXPECT_THAT(class_counts(*source), testing::Each(10));
}

TEST(Shapes, TheClassChangesTheOutlineOnly) {
  std::set<std::vector<std::uint8_t>> pictures;
  for (std::int64_t shape = 0; shape < 8; ++shape) pictures.insert(draw_shape(shape, 32, 1, 2).pixels);
  EXPECT_EQ(pictures.size(), 8u);
}

TEST(Shapes, EdgesAreAntiAliased) {
  // A large picture averaged over 8 x 8 blocks is the ideal small one; a hard-edged small one would differ by about
  // half the contrast at many pixels. The glow and the gradients are smooth, so the block mean fits them as well.
  const Image small = draw_shape(0, 32, 9, 4), large = draw_shape(0, 256, 9, 4);
  double worst = 0;
  for (std::int64_t y = 0; y < 32; ++y) {
    for (std::int64_t x = 0; x < 32; ++x) {
      double sum = 0;
      for (std::int64_t i = 0; i < 64; ++i) sum += large.at(8 * y + i / 8, 8 * x + i % 8, 1);
      worst = std::max(worst, std::abs(sum / 64 - small.at(y, x, 1)));
    }
  }
  // Coverage by distance is exact for an edge along the axes and off by at most 0.11 at 45 degrees, plus the curvature:
  // 0.16 of the full contrast of 255.
  EXPECT_LT(worst, 0.16 * 255);
}

TEST(MadePoints, MoonsLieAtTheirHalfCircles) {
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const LabelledPoint point = moon_point(1, i);
    EXPECT_EQ(point.label, static_cast<std::int64_t>(i % 2));
    const double radius = point.label == 0 ? std::hypot(point.x, point.y) : std::hypot(point.x - 1, point.y - 0.5);
    EXPECT_NEAR(radius, 1, 0.3);  // 6 standard deviations of 0.05: one in 5e8
  }
}

TEST(MadePoints, TheNoiseOfMoonsIsATwentieth) {
  constexpr int kCount = 20000;
  double squares = 0;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    const LabelledPoint point = moon_point(4, i);
    const double radius = point.label == 0 ? std::hypot(point.x, point.y) : std::hypot(point.x - 1, point.y - 0.5);
    squares += (radius - 1) * (radius - 1);
  }
  // Mean square 0.0025 (and 4e-6 from the curvature) with a deviation of 0.0025 sqrt(2 / 20000) = 2.5e-5; 5 of them.
  EXPECT_NEAR(squares / kCount, 0.0025, 1.25e-4);
}

TEST(MadePoints, TheDensityOfMoonsIsOneAltogether) {
  double sum = 0;
  constexpr double kStep = 0.02;  // 0.4 of the noise: the trapezoidal rule of a normal density is off by 1e-50
  for (double x = -1.5; x < 2.5; x += kStep) {
    for (double y = -1; y < 1.5; y += kStep) sum += std::exp(moon_log_density(x, y)) * kStep * kStep;
  }
  EXPECT_NEAR(sum, 1, 1e-6);
}

TEST(MadePoints, MoonsHaveTheEntropyOfTheirDensity) {
  double sum = 0;
  constexpr int kCount = 20000;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    const LabelledPoint point = moon_point(5, i);
    sum -= moon_log_density(point.x, point.y);
  }
  EXPECT_NEAR(sum / kCount, 0.300, 0.03);  // log p has a deviation of about 0.9: of the mean 0.0064
  // On the middle of an arc the density is a line's, 1 / (2 pi noise sqrt(2 pi)), but for the curvature (noise^2 / 8).
  EXPECT_NEAR(moon_log_density(0, 1), -std::log(2 * 3.14159265 * 0.05 * std::sqrt(2 * 3.14159265)), 1e-3);
  EXPECT_NEAR(moon_log_density(0, 50), -49 * 49 / 0.005, 20);  // far away
}

TEST(MadePoints, TheCheckerboardHasEightFilledSquares) {
  std::array<std::array<int, 4>, 4> counts{};
  for (std::uint64_t i = 0; i < 8000; ++i) {
    const LabelledPoint point = checkerboard_point(2, i);
    EXPECT_EQ(point.label, -1);
    ++counts[static_cast<std::size_t>(std::floor(point.x / 2)) + 2]
            [static_cast<std::size_t>(std::floor(point.y / 2) + 2)];
  }
  for (std::size_t column = 0; column < 4; ++column) {
    for (std::size_t row = 0; row < 4; ++row) {
      // Binomial(8000, 1/8): 1000 with a deviation of 30; 6 of them.
      if ((column + row) % 2 == 0) {
        EXPECT_NEAR(counts[column][row], 1000, 180);
      } else {
        EXPECT_EQ(counts[column][row], 0);
      }
    }
  }
}

TEST(MadePoints, GaussiansHaveTheirCentresAndWidth) {
  constexpr int kEach = 2000;
  std::array<double, 8> x{}, y{}, square{};
  for (std::uint64_t i = 0; i < 8 * kEach; ++i) {
    const LabelledPoint point = eight_gaussians_point(3, i);
    const auto k = static_cast<std::size_t>(point.label);
    const double cx = 2.828427 * std::cos(0.785398 * static_cast<double>(k));
    const double cy = 2.828427 * std::sin(0.785398 * static_cast<double>(k));
    x[k] += point.x - cx;
    y[k] += point.y - cy;
    square[k] += (point.x - cx) * (point.x - cx) + (point.y - cy) * (point.y - cy);
  }
  for (std::size_t k = 0; k < 8; ++k) {
    // Standard deviation 0.3536: of the mean 0.0079, of the mean square (0.25) 0.0056; 5 of them.
    EXPECT_NEAR(x[k] / kEach, 0, 0.04);
    EXPECT_NEAR(y[k] / kEach, 0, 0.04);
    EXPECT_NEAR(square[k] / kEach, 0.25, 0.028);
  }
}

TEST(MadePoints, TheGaussianHasItsCorrelation) {
  constexpr int kCount = 20000;
  double x = 0, y = 0, xx = 0, yy = 0, xy = 0;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    const LabelledPoint point = gaussian_point(3, i);
    x += point.x, y += point.y;
    xx += point.x * point.x, yy += point.y * point.y, xy += point.x * point.y;
  }
  // Deviations over 141: 1 of the coordinates, 1.41 of their squares, 1.28 of their product; 5 of them.
  EXPECT_NEAR(x / kCount, 0, 0.036);
  EXPECT_NEAR(y / kCount, 0, 0.036);
  EXPECT_NEAR(xx / kCount, 1, 0.05);
  EXPECT_NEAR(yy / kCount, 1, 0.05);
  EXPECT_NEAR(xy / kCount, kGaussianCorrelation, 0.046);
}

TEST(Made, UnknownNamesAndImpossibleCountsAreRefused) {
  EXPECT_THAT([] { make_source("shape", {}); },
              testing::ThrowsMessage<core::Error>(testing::HasSubstr("nearest known one is shapes")));
  EXPECT_THROW(make_source("shapes", {0, 32, 0}), core::Error);
  EXPECT_THROW(make_source("shapes", {10, 2, 0}), core::Error);
}

class Stored : public testing::Test {
 protected:
  tests::TemporaryDirectory directory_;
  std::string path_ = directory_ / "made.h5";
};

TEST_F(Stored, AStoreHoldsWhatItsSourceGives) {
  for (const std::string& name : made_names()) {
    const auto source = make_source(name, {37, 16, 5});
    const std::string digest = store(*source, path_, 2, [](std::int64_t) {});
    const auto read = open_source({path_});
    ASSERT_EQ(read->info().count, 37);
    ASSERT_EQ(read->info().classes, source->info().classes);
    std::vector<std::byte> expected(source->info().item_bytes()), found(expected.size());
    for (std::int64_t i = 0; i < 37; ++i) {
      source->read(i, expected);
      read->read(i, found);
      ASSERT_EQ(found, expected) << name << " item " << i;
      ASSERT_EQ(read->label(i), source->label(i));
    }
    EXPECT_EQ(verify(*source, 2, [](std::int64_t) {}).digest, digest);
    EXPECT_EQ(store(*source, path_, 1, [](std::int64_t) {}), digest);
  }
}

TEST_F(Stored, VerifyNamesTheItemWithAFlippedBit) {
  const auto source = make_source("shapes", {20, 16, 5});
  store(*source, path_, 1, [](std::int64_t) {});
  std::vector<std::byte> item(source->info().item_bytes());
  source->read(13, item);
  core::PosixFileSystem files;
  std::string content = core::read_text(files, path_);
  const auto at = content.find(std::string(reinterpret_cast<const char*>(item.data()), item.size()));
  ASSERT_NE(at, std::string::npos);
  content[at + 100] ^= 1;
  core::replace_file(files, path_, content);
  const Verified found = verify(*open_source({path_}), 2, [](std::int64_t) {});
  EXPECT_EQ(found.checked, 20);
  EXPECT_THAT(found.damaged, testing::ElementsAre(13));
}

}  // namespace
}  // namespace pathline::data

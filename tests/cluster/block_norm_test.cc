// SPDX-License-Identifier: Apache-2.0
#include "cluster/block_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "cluster/block_layout.h"
#include "core/random.h"

namespace pathline::cluster {
namespace {

std::vector<float> normals(std::uint64_t index) {
  std::vector<float> values(kBlock);
  core::Draws(5, index, core::Purpose::kMadeData).fill_normal(values);
  return values;
}

TEST(BlockNorm, IsTheSumOfSquaresInDoublePrecision) {
  const auto values = normals(9);
  long double exact = 0;
  for (const float value : values) exact += static_cast<long double>(value) * value;
  // Every product is exact in fp64; 4,095 additions round by at most 2^-53 of the sum each.
  EXPECT_NEAR(sum_of_squares(values), static_cast<double>(exact), 4095 * 0x1p-53 * static_cast<double>(exact));
}

TEST(BlockNorm, AddsInSixteenLanesAndThenInPairs) {
  const auto values = normals(10);
  double lanes[16] = {};
  for (std::size_t i = 0; i < values.size(); ++i) lanes[i % 16] += static_cast<double>(values[i]) * values[i];
  for (int width = 8; width > 0; width /= 2) {
    for (int lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  }
  EXPECT_EQ(sum_of_squares(values), lanes[0]);
}

TEST(BlockNorm, IsTakenWhileTwoBlocksAreAdded) {
  auto left = normals(1), right = normals(2);
  std::vector<float> expected(kBlock), apart(kBlock);
  for (std::size_t i = 0; i < kBlock; ++i) expected[i] = left[i] + right[i];
  const double squares = sum_of_squares(expected);
  auto into_left = left, into_right = right;
  EXPECT_EQ(add_and_sum_squares(left, right, apart), squares);
  EXPECT_EQ(add_and_sum_squares(into_left, right, into_left), squares);
  EXPECT_EQ(add_and_sum_squares(left, into_right, into_right), squares);
  EXPECT_EQ(apart, expected);
  EXPECT_EQ(into_left, expected);
  EXPECT_EQ(into_right, expected);
}

TEST(BlockNorm, SeesInfinityAndNanWhereverTheyAre) {
  for (const std::size_t place : {std::size_t{0}, std::size_t{17}, kBlock - 1}) {
    std::vector<float> values(kBlock, 1.0f), zero(kBlock, 0.0f), sum(kBlock);
    values[place] = INFINITY;
    EXPECT_TRUE(std::isinf(sum_of_squares(values)));
    values[place] = NAN;
    EXPECT_TRUE(std::isnan(sum_of_squares(values)));
    EXPECT_TRUE(std::isnan(add_and_sum_squares(zero, values, sum)));
  }
}

}  // namespace
}  // namespace pathline::cluster

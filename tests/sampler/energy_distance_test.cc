// SPDX-License-Identifier: Apache-2.0
// The energy distance against closed forms and a plain double loop.
#include "sampler/energy_distance.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/random.h"

namespace pathline::sampler {
namespace {

at::Tensor column(const std::vector<double>& values) { return at::tensor(values, at::kDouble).unsqueeze(1); }

/// (count, dimensions) standard normal, fp64.
at::Tensor normal_rows(std::int64_t count, std::int64_t dimensions, std::uint64_t seed) {
  at::Tensor rows = at::empty({count, dimensions}, at::kFloat);
  core::Draws(seed, 0, core::Purpose::kMadeData)
      .fill_normal({rows.mutable_data_ptr<float>(), static_cast<std::size_t>(rows.numel())});
  return rows.to(at::kDouble);
}

double plain_mean(const at::Tensor& x, const at::Tensor& y) {
  double sum = 0;
  for (std::int64_t i = 0; i < x.size(0); ++i) {
    for (std::int64_t j = 0; j < y.size(0); ++j) sum += (x[i] - y[j]).square().sum().sqrt().item<double>();
  }
  return sum / static_cast<double>(x.size(0) * y.size(0));
}

TEST(EnergyDistance, IsTheMeanOverAllPairs) {
  EXPECT_DOUBLE_EQ(energy_distance(column({0}), column({3})), 6);
  EXPECT_DOUBLE_EQ(energy_distance(column({0, 2}), column({1})), 1);  // 2 * 1 - (0 + 2 + 2 + 0) / 4
  const at::Tensor x = normal_rows(37, 3, 1), y = 2 * normal_rows(21, 3, 2) + 1;
  // a thousand terms of about 1: rounding of the sums stays below 1e-12
  EXPECT_NEAR(energy_distance(x, y), 2 * plain_mean(x, y) - plain_mean(x, x) - plain_mean(y, y), 1e-12);
}

TEST(EnergyDistance, IsZeroForEqualSetsAndSymmetric) {
  const at::Tensor x = normal_rows(900, 2, 7), y = normal_rows(700, 2, 8) + 0.5;
  EXPECT_EQ(energy_distance(x, x), 0);
  EXPECT_NEAR(energy_distance(x, at::cat({x, x})), 0, 1e-12);
  EXPECT_NEAR(energy_distance(x, y), energy_distance(y, x), 1e-12);
  EXPECT_GT(energy_distance(x, y), 0);
}

TEST(EnergyDistance, OfGaussiansTendsToTheClosedForm) {
  // X ~ N(0, 1), Y ~ N(m, 1): X - Y ~ N(m, 2), X - X' ~ N(0, 2);
  // E|N(m, s^2)| = s sqrt(2/pi) e^(-m^2/2s^2) + m erf(m / s sqrt 2)
  const double m = 1.5, s = std::sqrt(2.0), root = std::sqrt(2 / M_PI);
  const double apart = s * root * std::exp(-m * m / (2 * s * s)) + m * std::erf(m / (s * std::sqrt(2.0)));
  const double expected = 2 * apart - 2 * s * root;
  const double measured = energy_distance(normal_rows(4000, 1, 8), normal_rows(4000, 1, 9) + m);
  EXPECT_NEAR(measured, expected, 0.06);  // standard error of a mean of 4,000 about 0.02 for each set
}

TEST(EnergyDistance, OfTwoDrawsOfOneLawIsWhatAPointAgainstItselfTakesAway) {
  // For N points each of one law the expectation is E|X - X'| (1/N + 1/N), and E|X - X'| = 2 / sqrt(pi) for N(0, 1).
  constexpr int kDraws = 200;
  constexpr std::int64_t kPoints = 50;
  double sum = 0;
  for (std::uint64_t draw = 0; draw < kDraws; ++draw) {
    sum += energy_distance(normal_rows(kPoints, 1, 100 + 2 * draw), normal_rows(kPoints, 1, 101 + 2 * draw));
  }
  const double expected = 2.0 / kPoints * 2 / std::sqrt(M_PI);
  // A draw scatters by about its mean: of the mean of 200 draws 7 %; 5 of them.
  EXPECT_NEAR(sum / kDraws, expected, 0.35 * expected);
}

TEST(EnergyDistance, HasTheSameBitsWithAnyThreads) {
  const at::Tensor x = normal_rows(500, 2, 3), y = normal_rows(400, 2, 4);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const double alone = energy_distance(x, y);
  at::set_num_threads(3);
  EXPECT_EQ(energy_distance(x, y), alone);
  at::set_num_threads(before);
}

TEST(DrawnEnergy, DrawsWithoutReplacementByKey) {
  std::vector<double> numbers(40);
  std::iota(numbers.begin(), numbers.end(), 0.0);
  const at::Tensor set = column(numbers);
  // all of the set against a half of the data: a draw with replacement would not hold all of the set
  const DrawnEnergy all = drawn_energy(set, at::cat({set, set}), {3, 40, 1});
  const DrawnEnergy again = drawn_energy(set, at::cat({set, set}), {3, 40, 1});
  EXPECT_EQ(all.distance, again.distance);
  EXPECT_EQ(all.floor, again.floor);
  EXPECT_NE(all.distance[0], all.distance[1]);
  EXPECT_NE(all.distance, drawn_energy(set, at::cat({set, set}), {3, 40, 2}).distance);
  // both halves of one value each: whatever is drawn, |0 - 3| = 3
  const at::Tensor zeros = set * 0;
  EXPECT_THAT(drawn_energy(zeros, zeros + 3, {2, 20, 1}).distance, testing::Each(6));
  EXPECT_THAT(drawn_energy(zeros, zeros + 3, {2, 20, 1}).floor, testing::Each(0));
}

TEST(DrawnEnergy, TheFloorTakesOtherPointsOfTheData) {
  // Both halves of 60 different points: 0 only if a half were compared with itself.
  const at::Tensor data = normal_rows(60, 2, 5);
  for (const double floor : drawn_energy(data, data, {4, 30, 3}).floor) EXPECT_GT(floor, 0);
}

TEST(DrawnEnergy, RefusesMorePointsThanThereAre) {
  const at::Tensor rows = normal_rows(50, 2, 6);
  EXPECT_THAT(
      [&] {
        drawn_energy(rows, rows, {5, 30, 0});
      },
      testing::ThrowsMessage<core::Error>(testing::HasSubstr("--points 25")));
  EXPECT_THROW(drawn_energy(rows, rows, {0, 10, 0}), core::Error);
}

}  // namespace
}  // namespace pathline::sampler

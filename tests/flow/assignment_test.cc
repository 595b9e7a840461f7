// SPDX-License-Identifier: Apache-2.0
#include "flow/assignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/random.h"

namespace pathline::flow {
namespace {

std::vector<float> draws(std::uint64_t index, std::size_t count, bool normal = false) {
  std::vector<float> values(count);
  const core::Draws row(7, index, core::Purpose::kMadeData);
  normal ? row.fill_normal(values) : row.fill_uniform(values);
  return values;
}

/// Squared distances of two clouds of n points in `size` dimensions, the first `narrow` times as wide as the second.
std::vector<float> distances(std::int64_t n, std::int64_t size, float narrow) {
  const auto count = static_cast<std::size_t>(n * size);
  const std::vector<float> a = draws(1, count, true), b = draws(2, count, true);
  std::vector<float> costs;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (std::int64_t d = 0; d < size; ++d) {
        const float difference =
            narrow * a[static_cast<std::size_t>(i * size + d)] - b[static_cast<std::size_t>(j * size + d)];
        sum += difference * difference;
      }
      costs.push_back(sum);
    }
  }
  return costs;
}

double cost_of(const std::vector<float>& costs, const std::vector<std::int64_t>& columns) {
  double sum = 0;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    sum += costs[i * columns.size() + static_cast<std::size_t>(columns[i])];
  }
  return sum;
}

void expect_permutation(std::vector<std::int64_t> columns) {
  std::ranges::sort(columns);
  for (std::size_t i = 0; i < columns.size(); ++i) ASSERT_EQ(columns[i], static_cast<std::int64_t>(i));
}

/// Prices that no cost undercuts and that the chosen pairs reach: no permutation is cheaper. fp64 sums of up to n steps
/// along a path carry their rounding, relative to the largest cost.
void expect_optimal(const std::vector<float>& costs, std::int64_t n) {
  const Assignment found = assign(costs, n);
  expect_permutation(found.column_of);
  EXPECT_DOUBLE_EQ(found.cost, cost_of(costs, found.column_of));
  const double rounding = 1e-12 * static_cast<double>(*std::ranges::max_element(costs));
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      const double prices =
          found.row_price[static_cast<std::size_t>(i)] + found.column_price[static_cast<std::size_t>(j)];
      const double cost = costs[static_cast<std::size_t>(i * n + j)];
      ASSERT_LE(prices, cost + rounding) << i << ", " << j;
      if (found.column_of[static_cast<std::size_t>(i)] == j) {
        ASSERT_NEAR(prices, cost, rounding);
      }
    }
  }
}

TEST(Assign, FindsTheCheapestOfAllPermutations) {
  for (std::int64_t n = 1; n <= 7; ++n) {
    for (std::uint64_t trial = 0; trial < 20; ++trial) {
      std::vector<float> costs = draws(100 * trial + static_cast<std::uint64_t>(n), static_cast<std::size_t>(n * n));
      if (trial % 2 == 1) {  // with ties and negative numbers
        for (float& cost : costs) cost = std::floor(4 * cost) - 2;
      }
      std::vector<std::int64_t> columns(static_cast<std::size_t>(n));
      std::iota(columns.begin(), columns.end(), 0);
      double least = cost_of(costs, columns);
      while (std::ranges::next_permutation(columns).found) least = std::min(least, cost_of(costs, columns));
      const Assignment found = assign(costs, n);
      expect_permutation(found.column_of);
      EXPECT_NEAR(found.cost, least, 1e-12) << "n = " << n << ", trial " << trial;
    }
  }
}

TEST(Assign, IsProvenOptimalByItsPricesWhereThereAreTooManyPermutations) {
  expect_optimal(draws(3, 300 * 300), 300);
  expect_optimal(distances(257, 2, 1.0f), 257);
  expect_optimal(distances(256, 2, 0.15f), 256);  // most rows want the same few columns
  expect_optimal(distances(200, 64, 0.5f), 200);
}

TEST(Assign, ManyTiesAreNoTrouble) {
  expect_optimal(std::vector<float>(400 * 400, 2.5f), 400);
  std::vector<float> few = draws(5, 300 * 300);
  for (float& cost : few) cost = std::floor(3 * cost);
  expect_optimal(few, 300);
}

TEST(Assign, SortsPointsOfALine) {  // the closed form of one dimension
  constexpr std::int64_t kCount = 301;
  const std::vector<float> x = draws(8, kCount), y = draws(9, kCount);
  std::vector<float> costs;
  for (const float a : x) {
    for (const float b : y) costs.push_back((a - b) * (a - b));
  }
  const std::vector<std::int64_t> columns = assign(costs, kCount).column_of;
  std::vector<std::pair<float, float>> pairs;
  for (std::size_t i = 0; i < kCount; ++i) pairs.emplace_back(x[i], y[static_cast<std::size_t>(columns[i])]);
  std::ranges::sort(pairs);
  EXPECT_TRUE(std::ranges::is_sorted(pairs, {}, &std::pair<float, float>::second));
}

TEST(Assign, RefusesCostsThatAreNotFinite) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> costs(9, 1.0f);
    costs[5] = bad;
    try {
      assign(costs, 3);
      FAIL();
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kInput);
      EXPECT_NE(std::string(error.what()).find("row 1 and column 2"), std::string::npos) << error.what();
    }
  }
}

TEST(Assign, NothingIsAssignedToNothing) { EXPECT_TRUE(assign({}, 0).column_of.empty()); }

}  // namespace
}  // namespace pathline::flow

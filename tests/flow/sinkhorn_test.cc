// SPDX-License-Identifier: Apache-2.0
#include "flow/sinkhorn.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/random.h"
#include "flow/assignment.h"

namespace pathline::flow {
namespace {

std::vector<float> line_costs(std::size_t n) {
  std::vector<float> x(n), y(n), costs;
  core::Draws(1, 1, core::Purpose::kMadeData).fill_normal(x);
  core::Draws(1, 2, core::Purpose::kMadeData).fill_normal(y);
  for (const float a : x) {
    for (const float b : y) costs.push_back((a - b) * (a - b));
  }
  return costs;
}

std::vector<std::uint64_t> keys_from(std::uint64_t first, std::size_t count) {
  std::vector<std::uint64_t> keys;
  for (std::size_t i = 0; i < count; ++i) keys.push_back(first + i);
  return keys;
}

double cost_of(const std::vector<float>& costs, const std::vector<std::int64_t>& columns) {
  double sum = 0;
  for (std::size_t i = 0; i < columns.size(); ++i)
    sum += costs[i * columns.size() + static_cast<std::size_t>(columns[i])];
  return sum;
}

TEST(EntropicPlan, HoldsTheWeightsOfItsRowsAndColumns) {
  constexpr std::size_t kCount = 130;
  for (const double epsilon : {0.04, 0.6, 20.0}) {
    const EntropicPlan plan = entropic_plan(line_costs(kCount), kCount, epsilon);
    for (std::size_t k = 0; k < kCount; ++k) {
      double row = 0, column = 0;
      for (std::size_t l = 0; l < kCount; ++l) {
        row += std::exp(static_cast<double>(plan.log_share(k, l)));
        column += std::exp(static_cast<double>(plan.log_share(l, k)));
      }
      EXPECT_NEAR(row, 1, 0.011) << epsilon;    // it stops at 1 % and does one more round
      EXPECT_NEAR(column, 1, 2e-4) << epsilon;  // fp32 of potentials up to 50 / epsilon
    }
  }
}

// Two points each, costs (0, c; c, 0): by symmetry the plan is (p, 1 - p; 1 - p, p) / 2 with p / (1 - p) = exp(c /
// eps).
TEST(EntropicPlan, IsTheClosedFormOfTwoPoints) {
  const EntropicPlan plan = entropic_plan(std::vector<float>{0, 2, 2, 0}, 2, 0.7);
  const double p = 1 / (1 + std::exp(-2 / 0.7));
  EXPECT_NEAR(std::exp(plan.log_share(0, 0)), p, 1e-6);
  EXPECT_NEAR(std::exp(plan.log_share(0, 1)), 1 - p, 1e-6);
  EXPECT_NEAR(std::exp(plan.log_share(1, 1)), p, 1e-6);
}

TEST(EntropicPlan, RefusesCostsThatAreNotFinite) {
  std::vector<float> costs(9, 1.0f);
  costs[4] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(entropic_plan(costs, 3, 0.1), core::Error);
}

TEST(DrawnPermutation, UsesEveryColumnOnceAndDependsOnItsKeysAlone) {
  constexpr std::size_t kCount = 100;
  const EntropicPlan plan = entropic_plan(line_costs(kCount), kCount, 0.1);
  const auto drawn = drawn_permutation(plan, 5, keys_from(1000, kCount));
  EXPECT_EQ(drawn, drawn_permutation(plan, 5, keys_from(1000, kCount)));
  EXPECT_NE(drawn, drawn_permutation(plan, 5, keys_from(2000, kCount)));
  EXPECT_NE(drawn, drawn_permutation(plan, 6, keys_from(1000, kCount)));
  auto sorted = drawn;
  std::ranges::sort(sorted);
  for (std::size_t i = 0; i < kCount; ++i) EXPECT_EQ(sorted[i], static_cast<std::int64_t>(i));
}

TEST(DrawnPermutation, IsNearTheAssignmentForLittleEntropyAndIndependentForMuch) {
  constexpr std::size_t kCount = 200;
  const std::vector<float> costs = line_costs(kCount);
  double mean = 0;
  for (const float cost : costs) mean += cost / kCount;
  const double best = assign(costs, kCount).cost;
  const auto drawn_at = [&](double epsilon) {
    return cost_of(costs, drawn_permutation(entropic_plan(costs, kCount, epsilon), 3, keys_from(0, kCount)));
  };
  EXPECT_LT(drawn_at(0.02), best + 0.05 * mean);
  // A random permutation's cost lies within mean (1 +- 3 / sqrt(200)): squared normals have a deviation of their mean.
  EXPECT_NEAR(drawn_at(1000) / mean, 1, 0.25);
}

// Of two points each the first row drawn decides: it takes its own column with probability p.
TEST(DrawnPermutation, DrawsWithThePlansProbabilities) {
  const EntropicPlan plan = entropic_plan(std::vector<float>{0, 2, 2, 0}, 2, 1.5);
  const double p = 1 / (1 + std::exp(-2 / 1.5));
  constexpr int kTrials = 4000;
  int own = 0;
  for (std::uint64_t trial = 0; trial < kTrials; ++trial) {
    own += drawn_permutation(plan, 1, keys_from(2 * trial, 2))[0] == 0;
  }
  EXPECT_NEAR(own / double{kTrials}, p, 4 * std::sqrt(p * (1 - p) / kTrials));
}

}  // namespace
}  // namespace pathline::flow

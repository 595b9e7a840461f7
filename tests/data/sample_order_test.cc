// SPDX-License-Identifier: Apache-2.0
#include "data/sample_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "core/error.h"
#include "core/random.h"

namespace pathline::data {
namespace {

std::vector<std::int64_t> samples(const SampleOrder& order, std::uint64_t first, std::int64_t count) {
  std::vector<std::int64_t> drawn;
  for (std::int64_t i = 0; i < count; ++i) drawn.push_back(order.sample(first + static_cast<std::uint64_t>(i)));
  return drawn;
}

/// True if every number of [0, count) is among `drawn` once.
bool is_permutation(const std::vector<std::int64_t>& drawn, std::int64_t count) {
  std::vector<int> seen(static_cast<std::size_t>(count));
  for (const std::int64_t sample : drawn) {
    if (sample < 0 || sample >= count || seen[static_cast<std::size_t>(sample)]++ != 0) return false;
  }
  return static_cast<std::int64_t>(drawn.size()) == count;
}

TEST(SampleOrder, EveryEpochVisitsEverySampleOnce) {
  for (std::int64_t count = 1; count <= 1000; ++count) {
    const SampleOrder order(3, count);
    const std::uint64_t start = static_cast<std::uint64_t>(count) * (static_cast<std::uint64_t>(count) % 7);
    ASSERT_TRUE(is_permutation(samples(order, start, count), count)) << count;
  }
  for (const std::int64_t count : {65536, 65537, 262143, 100003}) {
    ASSERT_TRUE(is_permutation(samples(SampleOrder(4, count), 0, count), count)) << count;
  }
}

// Computed by a second implementation, in Python; also in docs/formats/random.md.
TEST(SampleOrder, GivesThePublishedVectors) {
  using ::testing::ElementsAre;
  EXPECT_THAT(samples(SampleOrder(7, 10), 0, 20),
              ElementsAre(2, 0, 7, 6, 8, 9, 4, 3, 5, 1, 9, 5, 6, 2, 1, 7, 4, 3, 8, 0));
  const SampleOrder million(0x0123456789abcdef, 1000003);
  std::vector<std::int64_t> drawn;
  for (const std::uint64_t position : {0ull, 1ull, 2ull, 999999ull, 1000002ull, 1000003ull, 1000000000000ull}) {
    drawn.push_back(million.sample(position));
  }
  EXPECT_THAT(drawn, ElementsAre(850148, 989877, 245727, 227750, 455923, 160064, 204968));
  const SampleOrder largest(1, std::int64_t{1} << 62);
  EXPECT_EQ(largest.sample(0), 1642646032618663182);
  EXPECT_EQ(largest.sample((std::uint64_t{1} << 62) - 1), 4171029186890643250);
  EXPECT_EQ(largest.sample(std::uint64_t{1} << 63), 1018006825064753910);
}

TEST(SampleOrder, EpochIsTheNumberOfCompletePasses) {
  const SampleOrder order(7, 10);
  EXPECT_EQ(order.epoch(0), 0u);
  EXPECT_EQ(order.epoch(9), 0u);
  EXPECT_EQ(order.epoch(10), 1u);
}

TEST(SampleOrder, EpochsAndSeedsHaveOrdersOfTheirOwn) {
  const SampleOrder order(5, 1000);
  const auto first = samples(order, 0, 1000);
  const auto second = samples(order, 1000, 1000);
  const auto other = samples(SampleOrder(6, 1000), 0, 1000);
  const auto equal_places = [&](const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
    int equal = 0;
    for (std::size_t i = 0; i < a.size(); ++i) equal += a[i] == b[i];
    return equal;
  };
  // Two random permutations agree in 1 place on average, distributed as Poisson: 8 or more has probability 1e-5.
  EXPECT_LT(equal_places(first, second), 8);
  EXPECT_LT(equal_places(first, other), 8);
}

/// Limit that a chi-square statistic of so many degrees of freedom exceeds with probability below 1e-6 (Wilson and
/// Hilferty 1931, at 4.8 standard deviations).
double chi_square_limit(double freedom) {
  const double spread = 2 / (9 * freedom);
  return freedom * std::pow(1 - spread + 4.8 * std::sqrt(spread), 3);
}

// Over epochs, how often sample s is at place p: a sum of random permutation matrices, for which
// (N - 1) / N * sum (seen - expected)^2 / expected is chi-square of (N - 1)^2 degrees of freedom.
TEST(SampleOrder, EverySampleIsAtEveryPlaceEquallyOften) {
  for (const std::int64_t count : {2, 3, 4, 5, 10, 16, 17, 60}) {
    const SampleOrder order(8, count);
    const int epochs = 2000;
    const std::size_t n = static_cast<std::size_t>(count);
    std::vector<double> seen(n * n);
    for (std::uint64_t i = 0; i < epochs * n; ++i) ++seen[i % n * n + static_cast<std::size_t>(order.sample(i))];
    const double expected = static_cast<double>(epochs) / static_cast<double>(n);
    double statistic = 0;
    for (const double times : seen) statistic += (times - expected) * (times - expected) / expected;
    const double freedom = static_cast<double>((n - 1) * (n - 1));
    EXPECT_LT(statistic * static_cast<double>(n - 1) / static_cast<double>(n), chi_square_limit(freedom)) << count;
  }
}

// The step from one sample to the next, modulo N, takes every value but 0 equally often in random permutations.
TEST(SampleOrder, NeighboursAreUnrelated) {
  for (const std::int64_t count : {5, 16, 37, 64}) {
    const SampleOrder order(9, count);
    const std::uint64_t n = static_cast<std::uint64_t>(count), epochs = 2000;
    std::vector<double> steps(n);
    for (std::uint64_t e = 0; e < epochs; ++e) {
      const std::uint64_t start = e * n + e % (n - 1);  // one pair an epoch: pairs of one epoch depend on each other
      ++steps[static_cast<std::size_t>((order.sample(start + 1) - order.sample(start) + count) % count)];
    }
    const double expected = static_cast<double>(epochs) / static_cast<double>(n - 1);
    double statistic = 0;
    for (std::size_t s = 1; s < n; ++s) statistic += (steps[s] - expected) * (steps[s] - expected) / expected;
    EXPECT_EQ(steps[0], 0);
    EXPECT_LT(statistic, chi_square_limit(static_cast<double>(n - 2))) << count;
  }
}

TEST(SampleOrder, ManyAtOnceAreThoseOneByOneAlsoAcrossEpochs) {
  for (const std::int64_t count : {1, 2, 37, 64, 1000, 65537}) {
    const SampleOrder order(11, count);
    std::vector<std::int64_t> samples(200);
    for (const std::uint64_t first : {0, 5, 950}) {
      order.samples(first, samples);
      for (std::size_t i = 0; i < samples.size(); ++i) ASSERT_EQ(samples[i], order.sample(first + i)) << count;
    }
  }
}

TEST(SampleOrder, RefusesAnEmptySet) { EXPECT_THROW(SampleOrder(1, 0), core::Error); }

TEST(HoldOut, ParksEverySampleOnOneSideAndAlwaysTheSame) {
  const HoldOut choice(7, 10, 3), again(7, 10, 3);
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < choice.held_out_count(); ++i) all.push_back(choice.held_out_sample(i));
  EXPECT_THAT(all, ::testing::ElementsAre(5, 9, 7));  // from the second implementation
  for (std::int64_t i = 0; i < choice.training_count(); ++i) {
    all.push_back(choice.training_sample(i));
    EXPECT_EQ(choice.training_sample(i), again.training_sample(i));
  }
  EXPECT_EQ(choice.training_count(), 7);
  EXPECT_TRUE(is_permutation(all, 10));
}

TEST(HoldOut, LeavesSomethingForTraining) {
  EXPECT_EQ(HoldOut(1, 5, 0).training_count(), 5);
  EXPECT_THROW(HoldOut(1, 5, 5), core::Error);
  EXPECT_THROW(HoldOut(1, 5, -1), core::Error);
}

}  // namespace
}  // namespace pathline::data

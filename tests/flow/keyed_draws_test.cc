// SPDX-License-Identifier: Apache-2.0
#include "flow/keyed_draws.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace pathline::flow {
namespace {

std::vector<std::uint64_t> positions_from(std::uint64_t first, std::size_t count) {
  std::vector<std::uint64_t> positions(count);
  std::iota(positions.begin(), positions.end(), first);
  return positions;
}

TEST(KeyedNoise, ARowDependsOnItsPositionAlone) {
  const auto all = keyed_noise(3, core::Purpose::kNoise, positions_from(100, 8), {3, 4, 4});
  const auto alone = keyed_noise(3, core::Purpose::kNoise, positions_from(105, 1), {3, 4, 4});
  EXPECT_TRUE(all[5].equal(alone[0]));
  EXPECT_FALSE(all[4].equal(alone[0]));
}

TEST(KeyedNoise, SeedsAndPurposesAreDifferentStreams) {
  const auto positions = positions_from(0, 2);
  const auto noise = keyed_noise(3, core::Purpose::kNoise, positions, {8});
  EXPECT_FALSE(noise.equal(keyed_noise(4, core::Purpose::kNoise, positions, {8})));
  EXPECT_FALSE(noise.equal(keyed_noise(3, core::Purpose::kValidationNoise, positions, {8})));
}

TEST(DroppedLabels, DropsTheAskedShareSampleBySample) {
  constexpr std::size_t kCount = 40000;
  const std::vector<std::int64_t> labels(kCount, 4);
  const auto kept = dropped_labels(1, positions_from(0, kCount), labels, 0.1, 10);
  const auto dropped = kept.eq(10).sum().item<std::int64_t>();
  // Four standard deviations of a binomial count: 4 sqrt(40000 * 0.1 * 0.9) = 240.
  EXPECT_NEAR(static_cast<double>(dropped), 4000.0, 240.0);
  EXPECT_EQ(kept.eq(4).sum().item<std::int64_t>(), static_cast<std::int64_t>(kCount) - dropped);
}

TEST(DroppedLabels, ZeroKeepsAllAndOneDropsAll) {
  const auto positions = positions_from(0, 100);
  const std::vector<std::int64_t> labels(100, 2);
  EXPECT_EQ(dropped_labels(1, positions, labels, 0.0, 9).eq(2).sum().item<std::int64_t>(), 100);
  EXPECT_EQ(dropped_labels(1, positions, labels, 1.0, 9).eq(9).sum().item<std::int64_t>(), 100);
}

}  // namespace
}  // namespace pathline::flow

// SPDX-License-Identifier: Apache-2.0
#include "cluster/block_layout.h"

#include <gtest/gtest.h>

namespace pathline::cluster {
namespace {

TEST(BlockLayout, PadsToWholeBlocks) {
  EXPECT_EQ(padded_size(0), 0u);
  EXPECT_EQ(padded_size(1), 4096u);
  EXPECT_EQ(padded_size(4096), 4096u);
  EXPECT_EQ(padded_size(4097), 8192u);
  EXPECT_EQ(blocks_of(8193), 3u);
}

TEST(BlockLayout, ShardsAreWholeBlocksOfBalancedNumber) {
  EXPECT_EQ(shard_offsets(7, 3), (std::vector<std::size_t>{0, 2 * 4096, 4 * 4096, 7 * 4096}));
  EXPECT_EQ(shard_offsets(2, 4), (std::vector<std::size_t>{0, 0, 4096, 4096, 8192}));
  EXPECT_EQ(shard_offsets(0, 2), (std::vector<std::size_t>{0, 0, 0}));
}

TEST(BlockLayout, PartsOfHugeTotalsDoNotOverflow) {
  const std::int64_t total = std::int64_t{1} << 62;
  EXPECT_EQ(part_begin(512, 1024, total), total / 2);
  EXPECT_EQ(part_begin(1024, 1024, total), total);
}

}  // namespace
}  // namespace pathline::cluster

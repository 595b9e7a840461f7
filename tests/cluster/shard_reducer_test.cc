// SPDX-License-Identifier: Apache-2.0
// Buckets reduced and gathered by either reducer, on one level and on two made-up ones.
#include "cluster/shard_reducer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <vector>

#include "cluster/block_layout.h"
#include "cluster/block_norm.h"
#include "core/random.h"
#include "tests/support/ranks.h"

namespace pathline::cluster {
namespace {

using Buffer = std::vector<float>;

constexpr std::size_t kElements = 13 * kBlock;
const std::vector<Range> kBuckets = {{0, 6 * kBlock}, {6 * kBlock, 7 * kBlock}, {7 * kBlock, kElements}};

/// Numbers of very different size, so that the order of additions shows.
Buffer gradient_of(std::int64_t slice) {
  Buffer gradient(kElements);
  core::Draws(1, slice, core::Purpose::kMadeData).fill_normal(gradient);
  for (std::size_t i = 0; i < gradient.size(); i += 3) gradient[i] *= 1e4f;
  return gradient;
}

std::vector<Buffer> folded(const std::vector<FoldStep>& plan, SliceRange range) {
  std::vector<Buffer> buffers(static_cast<std::size_t>(buffers_of(plan)));
  std::size_t in_use = 0;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    auto top = static_cast<std::size_t>(plan[i].buffer);
    buffers[top] = gradient_of(range.first + static_cast<std::int64_t>(i));
    for (int m = 0; m < plan[i].merges; ++m, --top) add_into(buffers[top - 1], buffers[top]);
    in_use = top + 1;
  }
  buffers.resize(in_use);
  return buffers;
}

/// The levels that this number of ranks can pretend to have.
std::vector<Levels> levels_for(int world) {
  std::vector<Levels> all = {{1, world}};
  for (int hosts = 2; hosts < world; ++hosts) {
    if (world % hosts == 0) all.push_back({hosts, world / hosts});
  }
  return all;
}

Buffer reduced(ShardReducer& reducer, const ShardMap& map, Communicator& ranks, std::int64_t slices,
               std::vector<double>& squares) {
  const SliceRange range = slices_of(ranks.rank(), ranks.size(), slices);
  auto sums = folded(reducer.fold_plan(range), range);
  Buffer own(map.own_elements());
  squares.assign(own.size() / kBlock, 0.0);
  for (std::size_t b = 0; b < map.buckets(); ++b) {
    std::vector<std::span<const float>> partials;
    for (const auto& sum : sums) partials.push_back(std::span(sum).subspan(map.bucket(b).begin, map.bucket(b).size()));
    const OwnPart& part = map.own(b);
    reducer.reduce(b, partials, std::span(own).subspan(part.local, part.range.size()),
                   std::span(squares).subspan(part.local / kBlock, part.range.size() / kBlock));
  }
  return own;
}

Buffer own_of(const Buffer& whole, const ShardMap& map) {
  Buffer own;
  for (std::size_t b = 0; b < map.buckets(); ++b) {
    own.insert(own.end(), whole.begin() + map.own(b).range.begin, whole.begin() + map.own(b).range.end);
  }
  return own;
}

TEST(TreeReducer, GivesOneRanksBitsOnAnyLevels) {
  tests::each_rank([](Communicator& ranks) {
    for (const Levels& levels : levels_for(ranks.size())) {
      for (const std::int64_t slices : {4, 7, 8, 11}) {
        const ShardMap map(kBuckets, levels, ranks.rank(), ranks.size());
        const auto reducer = make_tree_reducer(ranks, host_array_math(), map, slices);
        std::vector<double> squares;
        const Buffer own = reduced(*reducer, map, ranks, slices, squares);
        const Buffer expected = own_of(folded(fold_plan({0, slices}, slices), {0, slices}).front(), map);
        ASSERT_EQ(own.size(), expected.size());
        EXPECT_EQ(std::memcmp(own.data(), expected.data(), own.size() * sizeof(float)), 0)
            << slices << " slices on " << levels.hosts << " hosts";
        for (std::size_t b = 0; b < squares.size(); ++b) {
          EXPECT_EQ(squares[b], sum_of_squares(std::span(own).subspan(b * kBlock, kBlock)));
        }
      }
    }
  });
}

TEST(FastestReducer, GivesTheSumToRoundingOfAnyOrder) {
  tests::each_rank([](Communicator& ranks) {
    for (const std::int64_t slices : {ranks.size(), ranks.size() + 3}) {
      const ShardMap map(kBuckets, Levels{1, ranks.size()}, ranks.rank(), ranks.size());
      const auto reducer = make_fastest_reducer(ranks, host_array_math(), map);
      std::vector<double> squares;
      const Buffer own = reduced(*reducer, map, ranks, slices, squares);
      std::vector<double> sum(kElements), size(kElements);
      for (std::int64_t s = 0; s < slices; ++s) {
        const Buffer gradient = gradient_of(s);
        for (std::size_t i = 0; i < kElements; ++i) {
          sum[i] += gradient[i];
          size[i] += std::abs(gradient[i]);
        }
      }
      std::size_t i = 0;
      for (std::size_t b = 0; b < map.buckets(); ++b) {
        for (std::size_t at = map.own(b).range.begin; at < map.own(b).range.end; ++at, ++i) {
          // n - 1 additions round by half a unit in the last place of a partial sum each
          ASSERT_NEAR(own[i], sum[at], static_cast<double>(slices) * 0x1p-24 * size[at]);
        }
      }
      ASSERT_EQ(i, own.size());
    }
  });
}

TEST(ShardReducer, GathersEveryOwnersPartOnAnyLevels) {
  tests::each_rank([](Communicator& ranks) {
    for (const Levels& levels : levels_for(ranks.size())) {
      const ShardMap map(kBuckets, levels, ranks.rank(), ranks.size());
      const auto reducer = make_tree_reducer(ranks, host_array_math(), map, 16);
      std::vector<std::uint16_t> whole(kElements), expected(kElements);
      std::iota(expected.begin(), expected.end(), std::uint16_t{1});
      for (std::size_t b = 0; b < map.buckets(); ++b) {
        const Range own = map.own(b).range;
        std::copy(expected.begin() + own.begin, expected.begin() + own.end, whole.begin() + own.begin);
        const auto bucket = std::span(whole).subspan(map.bucket(b).begin, map.bucket(b).size());
        reducer->gather(b, std::as_writable_bytes(bucket), sizeof(std::uint16_t));
      }
      EXPECT_EQ(whole, expected) << levels.hosts << " hosts";
    }
  });
}

TEST(ShardMap, GivesEveryBlockToOneRankEvenly) {
  for (const int world : {1, 2, 3, 6, 8, 40}) {
    for (const Levels& levels : levels_for(world)) {
      std::vector<int> owners(kElements / kBlock);
      for (int rank = 0; rank < world; ++rank) {
        const ShardMap map(kBuckets, levels, rank, world);
        for (std::size_t b = 0; b < map.buckets(); ++b) {
          const Range own = map.own(b).range;
          for (std::size_t at = own.begin; at < own.end; at += kBlock) ++owners[at / kBlock];
          EXPECT_LE(own.size() / kBlock, map.bucket(b).size() / kBlock / static_cast<std::size_t>(world) + 1);
        }
      }
      EXPECT_EQ(owners, std::vector<int>(owners.size(), 1));
    }
  }
}

TEST(Levels, AreTwoOnlyWhereHostsHaveEquallyManyRanksInOrder) {
  const auto levels = [](std::vector<std::string> hosts) { return levels_of(topology_of(0, hosts)); };
  EXPECT_TRUE(levels({"a", "a", "b", "b"}).two());
  EXPECT_FALSE(levels({"a", "b", "a", "b"}).two());
  EXPECT_FALSE(levels({"a", "a", "b"}).two());
  EXPECT_FALSE(levels({"a", "a"}).two());
  EXPECT_FALSE(levels({"a", "b"}).two());
}

}  // namespace
}  // namespace pathline::cluster

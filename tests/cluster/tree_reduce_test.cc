// SPDX-License-Identifier: Apache-2.0
// The reduction across ranks gives the bits that one rank gets, and moves no more bytes than it says.
#include "cluster/tree_reduce.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "cluster/block_layout.h"
#include "cluster/block_norm.h"
#include "cluster/reduction_tree.h"
#include "core/random.h"
#include "tests/cluster/counting_communicator.h"
#include "tests/support/ranks.h"

namespace pathline::cluster {
namespace {

using Buffer = std::vector<float>;

/// The "gradient" of one slice: normal numbers of very different size, so that the order of additions shows.
Buffer gradient_of(std::int64_t slice, std::size_t elements) {
  Buffer gradient(elements);
  core::Draws(1, slice, core::Purpose::kMadeData).fill_normal(gradient);
  for (std::size_t i = 0; i < elements; i += 3) gradient[i] *= 1e4f;
  return gradient;
}

/// Partial sums of the covering nodes of a range, made as a trainer makes them.
std::vector<Buffer> partials_of(SliceRange range, std::int64_t slices, std::size_t elements) {
  const auto plan = fold_plan(range, slices);
  std::vector<Buffer> buffers(buffers_of(plan));
  for (std::size_t i = 0; i < plan.size(); ++i) {
    int top = plan[i].buffer;
    buffers[top] = gradient_of(range.first + static_cast<std::int64_t>(i), elements);
    for (int m = 0; m < plan[i].merges; ++m, --top) add_into(buffers[top - 1], buffers[top]);
  }
  buffers.resize(covering_nodes(range, slices).size());
  return buffers;
}

std::vector<std::span<const float>> spans_of(const std::vector<Buffer>& buffers) {
  return {buffers.begin(), buffers.end()};
}

/// All slices on one rank, and the order of additions that the definition of the tree asks for.
Buffer on_one_rank(std::int64_t slices, std::size_t elements) {
  return partials_of({0, slices}, slices, elements).front();
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

void reduce(Communicator& ranks, std::int64_t slices, const std::vector<std::span<const float>>& partials,
            const std::vector<std::size_t>& shards, std::span<float> out, std::span<double> squares,
            std::size_t staging_bytes) {
  ReduceScratch scratch(host_array_math());
  tree_reduce(ranks, host_array_math(), whole_stage(ranks.size(), slices), partials, shards, std::span(&out, 1),
              squares, scratch, staging_bytes);
}

void expect_one_ranks_bits(Communicator& ranks, std::int64_t slices, std::size_t blocks, std::size_t staging_bytes) {
  const auto shards = shard_offsets(blocks, ranks.size());
  const auto own = partials_of(slices_of(ranks.rank(), ranks.size(), slices), slices, shards.back());
  const auto expected = on_one_rank(slices, shards.back());
  Buffer out(shards[ranks.rank() + 1] - shards[ranks.rank()]);
  std::vector<double> squares(out.size() / kBlock);
  reduce(ranks, slices, spans_of(own), shards, out, squares, staging_bytes);
  for (std::size_t b = 0; b < squares.size(); ++b) {
    EXPECT_EQ(squares[b], sum_of_squares(std::span(out).subspan(b * kBlock, kBlock)));
  }
  EXPECT_TRUE(same_bits(out, std::span(expected).subspan(shards[ranks.rank()], out.size())))
      << slices << " slices, " << blocks << " blocks, rank " << ranks.rank() << " of " << ranks.size();
}

TEST(TreeReduce, GivesOneRanksBitsForAnyNumberOfSlices) {
  tests::each_rank([](Communicator& ranks) {
    for (std::int64_t slices : {1, 2, 3, 4, 5, 7, 8, 12, 13, 16}) {
      expect_one_ranks_bits(ranks, slices, 7, kReduceStagingBytes);
    }
  });
}

TEST(TreeReduce, GivesTheSameBitsInManySmallRounds) {
  tests::each_rank([](Communicator& ranks) {
    for (std::int64_t slices : {4, 7, 11}) expect_one_ranks_bits(ranks, slices, 11, 1);
  });
}

TEST(TreeReduce, ShardsMayBeEmpty) {
  tests::each_rank([](Communicator& ranks) {
    for (std::size_t blocks : {0, 1, 2}) expect_one_ranks_bits(ranks, 6, blocks, 1);
  });
}

TEST(TreeReduce, MayWriteIntoAPartialsOwnShard) {
  tests::each_rank([](Communicator& ranks) {
    constexpr std::int64_t kSlices = 7;
    const auto shards = shard_offsets(9, ranks.size());
    const auto expected = on_one_rank(kSlices, shards.back());
    const SliceRange range = slices_of(ranks.rank(), ranks.size(), kSlices);
    const std::size_t nodes = covering_nodes(range, kSlices).size();
    for (std::size_t n = 0; n < 3; ++n) {
      auto own = partials_of(range, kSlices, shards.back());
      const auto out =
          std::span(own[n % nodes]).subspan(shards[ranks.rank()], shards[ranks.rank() + 1] - shards[ranks.rank()]);
      reduce(ranks, kSlices, spans_of(own), shards, out, {}, 1);
      EXPECT_TRUE(same_bits(out, std::span(expected).subspan(shards[ranks.rank()], out.size())));
    }
  });
}

TEST(TreeReduce, SendsEachNodesForeignShardsOnce) {
  tests::each_rank([](Communicator& ranks) {
    for (std::int64_t slices : {8, 11}) {
      const auto shards = shard_offsets(10, ranks.size());
      const std::size_t own_shard = shards[ranks.rank() + 1] - shards[ranks.rank()];
      const auto own = partials_of(slices_of(ranks.rank(), ranks.size(), slices), slices, shards.back());
      Buffer out(own_shard);
      tests::CountingCommunicator counting(ranks);
      reduce(counting, slices, spans_of(own), shards, out, {}, kReduceStagingBytes);
      EXPECT_EQ(counting.bytes_sent(), own.size() * (shards.back() - own_shard) * sizeof(float));
      EXPECT_EQ(counting.calls(), ranks.size() > 1 ? 1 : 0);  // all of it fits into one round
    }
  });
}

}  // namespace
}  // namespace pathline::cluster

// SPDX-License-Identifier: Apache-2.0
// The tree on symbols: what is added to what is read off an expression, whatever the number of ranks.
#include "cluster/reduction_tree.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace pathline::cluster {
namespace {

std::string sum_of(const std::string& left, const std::string& right) { return "(" + left + "+" + right + ")"; }

/// The oracle: the definition of the tree, from the root downwards.
std::string definition(int level, std::int64_t index, std::int64_t slices) {
  if (level == 0) return "s" + std::to_string(index);
  const std::string left = definition(level - 1, 2 * index, slices);
  const std::int64_t right_begin = (2 * index + 1) << (level - 1);
  if (right_begin >= slices) return left;
  return sum_of(left, definition(level - 1, 2 * index + 1, slices));
}

std::string whole_tree(std::int64_t slices) {
  return definition(std::bit_width(static_cast<std::uint64_t>(slices - 1)), 0, slices);
}

/// What one rank's buffers hold after its slices.
std::vector<std::string> folded(SliceRange range, std::int64_t slices) {
  const auto plan = fold_plan(range, slices);
  std::vector<std::string> buffers(buffers_of(plan));
  std::int64_t slice = range.first;
  int used = 0;
  for (const FoldStep& step : plan) {
    buffers.at(step.buffer) = "s" + std::to_string(slice++);
    used = step.buffer + 1;
    for (int m = 0; m < step.merges; ++m, --used) {
      buffers[used - 2] = sum_of(buffers[used - 2], buffers[used - 1]);
    }
  }
  buffers.resize(used);
  return buffers;
}

std::string reduced(int world, std::int64_t slices) {
  std::vector<TreeNode> nodes;
  std::vector<std::string> partials;
  for (int rank = 0; rank < world; ++rank) {
    const SliceRange range = slices_of(rank, world, slices);
    const auto own_nodes = covering_nodes(range, slices);
    const auto own = folded(range, slices);
    EXPECT_EQ(own.size(), own_nodes.size());
    nodes.insert(nodes.end(), own_nodes.begin(), own_nodes.end());
    partials.insert(partials.end(), own.begin(), own.end());
  }
  const Completion plan = completion_plan(nodes, slices);
  EXPECT_EQ(plan.results.size(), 1u);
  for (const auto& [into, from] : plan.additions) partials[into] = sum_of(partials[into], partials[from]);
  return partials[0];
}

TEST(ReductionTree, IsAsWrittenForKnownSizes) {
  EXPECT_EQ(reduced(1, 1), "s0");
  EXPECT_EQ(reduced(1, 3), "((s0+s1)+s2)");
  EXPECT_EQ(reduced(1, 4), "((s0+s1)+(s2+s3))");
  EXPECT_EQ(reduced(1, 6), "(((s0+s1)+(s2+s3))+(s4+s5))");
  EXPECT_EQ(reduced(1, 7), "(((s0+s1)+(s2+s3))+((s4+s5)+s6))");
}

TEST(ReductionTree, IsTheSameForEveryNumberOfRanks) {
  for (int slices = 1; slices <= 33; ++slices) {
    for (int world = 1; world <= slices + 2; ++world) {
      EXPECT_EQ(reduced(world, slices), whole_tree(slices)) << slices << " slices, " << world;
    }
  }
}

TEST(ReductionTree, CoveringNodesOfAlignedRangesAreOneNode) {
  for (int rank = 0; rank < 4; ++rank) {
    const SliceRange range = slices_of(rank, 4, 32);
    EXPECT_EQ(covering_nodes(range, 32), std::vector<TreeNode>{range});
  }
  EXPECT_EQ(covering_nodes({4, 5}, 5), (std::vector<TreeNode>{{4, 5}}));
  EXPECT_EQ(covering_nodes({1, 7}, 8), (std::vector<TreeNode>{{1, 2}, {2, 4}, {4, 6}, {6, 7}}));
  EXPECT_EQ(covering_nodes({3, 3}, 8), std::vector<TreeNode>{});
}

TEST(ReductionTree, NeedsFewBuffers) {
  for (std::int64_t slices = 1; slices <= 70; ++slices) {
    for (std::int64_t first = 0; first < slices; ++first) {
      for (std::int64_t last = first + 1; last <= slices; ++last) {
        const int log2_size = std::bit_width(static_cast<std::uint64_t>(last - first)) - 1;
        const int buffers = buffers_of(fold_plan({first, last}, slices));
        const auto nodes = covering_nodes({first, last}, slices);
        // From slice 0 on it is a plain binary counter. Elsewhere the nodes first grow, then shrink.
        EXPECT_LE(buffers, first == 0 || nodes.size() == 1 ? 1 + log2_size : 2 * log2_size + 1)
            << first << " " << last << " of " << slices;
        EXPECT_LE(nodes.size(), 2 * log2_size + 1);
      }
    }
  }
}

TEST(ReductionTree, SlicesAreDealtOutEvenlyAndInOrder) {
  for (int slices = 0; slices <= 20; ++slices) {
    for (int world = 1; world <= 22; ++world) {
      std::int64_t next = 0;
      for (int rank = 0; rank < world; ++rank) {
        const SliceRange range = slices_of(rank, world, slices);
        EXPECT_EQ(range.first, next);
        EXPECT_GE(range.size(), slices / world);
        EXPECT_LE(range.size(), (slices + world - 1) / world);
        next = range.last;
      }
      EXPECT_EQ(next, slices);
    }
  }
}

TEST(TreeSum, AddsAlongTheSameTree) {
  // Values whose sum depends on the order; the oracle adds by the definition of the tree.
  const std::function<double(int, std::size_t, std::span<const double>)> by_definition =
      [&](int level, std::size_t index, std::span<const double> values) -> double {
    if (level == 0) return values[index];
    const double left = by_definition(level - 1, 2 * index, values);
    const std::size_t right_begin = (2 * index + 1) << (level - 1);
    return right_begin >= values.size() ? left : left + by_definition(level - 1, 2 * index + 1, values);
  };
  for (std::size_t n = 1; n <= 130; ++n) {
    std::vector<double> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = std::sin(1.0 + i) * std::pow(10.0, i % 17);
    EXPECT_EQ(tree_sum(values), by_definition(std::bit_width(n - 1), 0, values)) << n;
  }
  EXPECT_EQ(tree_sum({}), 0.0);
}

TEST(AddInto, AddsEveryElementOfAnyLength) {
  for (std::size_t n : {0, 1, 15, 16, 17, 4096, 4099}) {
    std::vector<float> left(n), right(n), expected(n);
    for (std::size_t i = 0; i < n; ++i) {
      left[i] = std::sin(static_cast<float>(i));
      right[i] = 1000.0f * std::cos(static_cast<float>(i));
      expected[i] = left[i] + right[i];
    }
    std::vector<float> onto_right = right;
    add(left, onto_right, onto_right);
    add_into(left, right);
    EXPECT_EQ(left, expected);
    EXPECT_EQ(onto_right, expected);
  }
}

}  // namespace
}  // namespace pathline::cluster

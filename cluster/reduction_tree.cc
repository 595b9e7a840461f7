// SPDX-License-Identifier: Apache-2.0
#include "cluster/reduction_tree.h"

#include <algorithm>
#include <bit>

#include "cluster/block_layout.h"
#include "core/error.h"

namespace pathline::cluster {
namespace {

/// A left child with a sibling is full: its size is a power of two.
bool are_siblings(TreeNode left, TreeNode right, std::int64_t slices) {
  const std::int64_t size = left.size();
  return std::has_single_bit(static_cast<std::uint64_t>(size)) && left.first % (2 * size) == 0 &&
         right.last == std::min(left.first + 2 * size, slices);
}

/// Adjacent nodes put on a stack one by one; siblings on top merge as long as there are any. This is a binary counter,
/// and the only place that decides what is added to what.
class NodeStack {
 public:
  explicit NodeStack(std::int64_t slices) : slices_(slices) {}

  /// Returns the number of merges.
  int push(TreeNode node) {
    PL_ASSERT(node.size() > 0 && (nodes_.empty() || nodes_.back().last == node.first));
    int merges = 0;
    while (!nodes_.empty() && are_siblings(nodes_.back(), node, slices_)) {
      node.first = nodes_.back().first;
      nodes_.pop_back();
      ++merges;
    }
    nodes_.push_back(node);
    return merges;
  }
  const std::vector<TreeNode>& nodes() const { return nodes_; }

 private:
  std::int64_t slices_;
  std::vector<TreeNode> nodes_;
};

}  // namespace

SliceRange slices_of(int rank, int world, std::int64_t slices) {
  PL_ASSERT(0 <= rank && rank < world && slices >= 0);
  return {part_begin(rank, world, slices), part_begin(rank + 1, world, slices)};
}

std::vector<TreeNode> covering_nodes(SliceRange range, std::int64_t slices) {
  NodeStack stack(slices);
  for (std::int64_t s = range.first; s < range.last; ++s) stack.push({s, s + 1});
  return stack.nodes();
}

std::vector<FoldStep> fold_plan(SliceRange range, std::int64_t slices) {
  NodeStack stack(slices);
  std::vector<FoldStep> plan;
  for (std::int64_t s = range.first; s < range.last; ++s) {
    const int buffer = static_cast<int>(stack.nodes().size());
    plan.push_back({buffer, stack.push({s, s + 1})});
  }
  return plan;
}

int buffers_of(std::span<const FoldStep> plan) {
  int buffers = 0;
  for (const FoldStep& step : plan) buffers = std::max(buffers, step.buffer + 1);
  return buffers;
}

Completion completion_plan(std::span<const TreeNode> nodes, std::int64_t slices) {
  NodeStack stack(slices);
  Completion plan;  // results: the stack's nodes
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const int merges = stack.push(nodes[i]);
    plan.results.push_back({static_cast<int>(i), plan.additions.size()});
    for (int m = 0; m < merges; ++m) {
      const int from = plan.results.back().partial;
      plan.results.pop_back();
      plan.additions.push_back({plan.results.back().partial, from});
      plan.results.back().additions = plan.additions.size();
    }
  }
  return plan;
}

double tree_sum(std::span<const double> values) {
  if (values.empty()) return 0.0;
  std::vector<double> level(values.begin(), values.end());
  while (level.size() > 1) {
    const std::size_t pairs = level.size() / 2;
    for (std::size_t i = 0; i < pairs; ++i) level[i] = level[2 * i] + level[2 * i + 1];
    if (level.size() % 2 != 0) level[pairs] = level.back();
    level.resize((level.size() + 1) / 2);
  }
  return level[0];
}

void add_into(std::span<float> left, std::span<const float> right) { add(left, right, left); }

void add(std::span<const float> left, std::span<const float> right, std::span<float> sum) {
  PL_ASSERT(left.size() == right.size() && left.size() == sum.size());
#pragma GCC ivdep  // `sum` is one of the others or apart from both: no element depends on another
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = left[i] + right[i];
}

}  // namespace pathline::cluster

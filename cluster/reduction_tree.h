// SPDX-License-Identifier: Apache-2.0
// The one fixed binary tree over the slices of a global batch: which ranks compute what, and which sums are made of it.
// Note [Why the tree is fixed]: floating-point sums depend on their order. A training step must give the same bits on
// any number of ranks, so its partial sums are combined along a tree that knows slices only. Node (level l, index i)
// covers slices [i 2^l, min((i + 1) 2^l, C)); a parent with a single child is that child. Every sum is
// left + right, left having the lower slices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pathline::cluster {

/// Slices [first, last). A node of the tree is named by the slices that it covers.
struct SliceRange {
  std::int64_t first = 0;
  std::int64_t last = 0;

  std::int64_t size() const { return last - first; }
  bool operator==(const SliceRange&) const = default;
};
using TreeNode = SliceRange;

/// The slices of one rank: contiguous, in rank order, sizes differ by one at most (0 where world > slices).
SliceRange slices_of(int rank, int world, std::int64_t slices);

/// The largest nodes that make up a range, in order; one where the range is a node, at most 2 log2(size) + 1 otherwise.
std::vector<TreeNode> covering_nodes(SliceRange range, std::int64_t slices);

/// What to do with the partial sum of the next slice, buffers being a stack: it lands in `buffer`; then, `merges`
/// times, the highest buffer in use is added into the one below it and becomes free.
struct FoldStep {
  int buffer = 0;
  int merges = 0;
};

/// One step for each slice of the range, in order. Afterwards buffers 0, 1, ... hold covering_nodes(range).
std::vector<FoldStep> fold_plan(SliceRange range, std::int64_t slices);

/// The number of buffers that a plan uses: 1 + log2(size) where the range is a node.
int buffers_of(std::span<const FoldStep> plan);

/// partials[into] += partials[from]; `into` is the lower one.
struct Addition {
  int into = 0;
  int from = 0;
};

/// A node of the result: which partial holds it, once so many of the additions are done.
struct CompletedNode {
  int partial = 0;
  std::size_t additions = 0;  // of the plan, counted from its start
};
struct Completion {
  std::vector<Addition> additions;     // those of the first result first
  std::vector<CompletedNode> results;  // one for each covering node of the whole range, in order
};

/// How partial sums of adjacent `nodes` become those of the largest nodes that they make up: a single one, the whole
/// sum, if they cover all slices.
Completion completion_plan(std::span<const TreeNode> nodes, std::int64_t slices);

/// The sum of all values along the tree over them; 0 for none.
double tree_sum(std::span<const double> values);

/// left[i] += right[i].
void add_into(std::span<float> left, std::span<const float> right);

/// sum[i] = left[i] + right[i]; `sum` may be `left` or `right`, but not overlap them in part.
void add(std::span<const float> left, std::span<const float> right, std::span<float> sum);

}  // namespace pathline::cluster

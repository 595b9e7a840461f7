// SPDX-License-Identifier: Apache-2.0
// Sums over slices along the fixed tree (reduction_tree.h), across ranks: the same bits on any number of ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cluster/array_math.h"
#include "cluster/communicator.h"
#include "cluster/reduction_tree.h"

namespace pathline::cluster {

/// Staging memory of a reduction, roughly; a wish, as every partial needs at least one block.
inline constexpr std::size_t kReduceStagingBytes = std::size_t{16} << 20;

using Partials = std::span<const std::span<const float>>;

/// What the ranks of one communicator add up: each holds the sums of the covering nodes of its own range of slices.
struct TreeStage {
  std::int64_t slices = 0;         // leaves of the whole tree
  std::vector<SliceRange> ranges;  // by rank; adjacent, in order

  SliceRange all() const { return {ranges.front().first, ranges.back().last}; }
};

/// Where pieces wait on their way.
struct ReduceScratch {
  explicit ReduceScratch(ArrayMath& math) : incoming(math), outgoing(math) {}
  Scratch incoming, outgoing;
};

/// Reduces and scatters. `partials`: for every covering node of this rank's range, in order, its sum as a whole array
/// of shards.back() elements. `shards`: size() + 1 offsets in elements. `out`: for every covering node of all ranges
/// together, in order, the sum over it of this rank's shard. A single `out` may be this rank's shard of one of the
/// partials; several must be memory of their own. With a single `out`, `squares` (empty, or one for each block of the
/// shard) receives the sums of squares of its blocks. Each rank sends its nodes' pieces of every other shard once, in
/// fp32. Collective.
void tree_reduce(Communicator& ranks, ArrayMath& math, const TreeStage& stage, Partials partials,
                 std::span<const std::size_t> shards, std::span<const std::span<float>> out, std::span<double> squares,
                 ReduceScratch& scratch, std::size_t staging_bytes = kReduceStagingBytes);

/// The stage that all ranks of a run make up.
TreeStage whole_stage(int world, std::int64_t slices);

}  // namespace pathline::cluster

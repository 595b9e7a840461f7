// SPDX-License-Identifier: Apache-2.0
// Sums over all slices along the fixed tree (reduction_tree.h), across ranks: the same bits on any number of ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cluster/communicator.h"

namespace pathline::cluster {

/// Staging memory of a reduction, roughly; a wish, as every partial needs at least one block.
inline constexpr std::size_t kReduceStagingBytes = std::size_t{16} << 20;

/// Reduces and scatters. `partials`: for every covering node of this rank's slices, in order, its partial sum as a
/// whole padded flat buffer (fold_plan leaves them so). `shards`: world + 1 offsets in elements into these buffers.
/// `out` receives the sum over all slices of this rank's shard; it may be this rank's shard of one of the partials.
/// Each rank sends its nodes' pieces of every other shard once, in fp32. Collective.
void tree_reduce(Communicator& ranks, std::int64_t slices,
                 std::span<const std::span<const float>> partials,
                 std::span<const std::size_t> shards, std::span<float> out,
                 std::size_t staging_bytes = kReduceStagingBytes);

/// tree_sum over all slices of one number a slice; `mine` holds those of this rank's slices, in order. Collective.
double tree_reduce_scalar(Communicator& ranks, std::int64_t slices, std::span<const double> mine);

}  // namespace pathline::cluster

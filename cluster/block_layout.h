// SPDX-License-Identifier: Apache-2.0
// How flat buffers are cut: into blocks that do not depend on the number of ranks, and into one shard of whole blocks
// per rank.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pathline::cluster {

/// Elements of a block. Every scalar over parameters is made of one partial result a block (docs/architecture.md).
inline constexpr std::size_t kBlock = 4096;

/// Where part `part` of `parts` begins when `total` things are dealt out contiguously, sizes differing by one at most.
std::int64_t part_begin(int part, int parts, std::int64_t total);

/// Blocks that hold this many elements, and the elements of these blocks.
std::size_t blocks_of(std::size_t elements);
std::size_t padded_size(std::size_t elements);

/// world + 1 offsets in elements: rank r owns [offsets[r], offsets[r + 1]), whole blocks. Empty shards are possible.
std::vector<std::size_t> shard_offsets(std::size_t blocks, int world);

}  // namespace pathline::cluster

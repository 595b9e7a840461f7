// SPDX-License-Identifier: Apache-2.0
#include "cluster/block_layout.h"

#include "core/error.h"

namespace pathline::cluster {

std::int64_t part_begin(int part, int parts, std::int64_t total) {
  PL_ASSERT(0 <= part && part <= parts && parts > 0 && total >= 0);
  // total * part / parts, without its overflow
  return total / parts * part + total % parts * part / parts;
}

std::size_t blocks_of(std::size_t elements) { return (elements + kBlock - 1) / kBlock; }

std::size_t padded_size(std::size_t elements) { return blocks_of(elements) * kBlock; }

std::vector<std::size_t> shard_offsets(std::size_t blocks, int world) {
  std::vector<std::size_t> offsets;
  for (int r = 0; r <= world; ++r) {
    offsets.push_back(static_cast<std::size_t>(part_begin(r, world, blocks)) * kBlock);
  }
  return offsets;
}

}  // namespace pathline::cluster

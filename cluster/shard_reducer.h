// SPDX-License-Identifier: Apache-2.0
// How the gradients of all ranks become one gradient at its owners, a bucket at a time, and how owners give everybody
// their part of a bucket. The fixed tree (the same bits on any number of ranks), or the library's own order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cluster/array_math.h"
#include "cluster/communicator.h"
#include "cluster/reduction_tree.h"
#include "cluster/shard_map.h"

namespace pathline::cluster {

/// One thread at a time.
class ShardReducer {
 public:
  virtual ~ShardReducer() = default;

  /// The partial sums that a rank hands to reduce(): of these nodes (a single one that means nothing for "fastest").
  virtual std::vector<FoldStep> fold_plan(SliceRange own) const = 0;

  /// `partials`: this rank's sums over bucket b, in the order fold_plan() leaves them, whole. `own`: receives the sum
  /// over all slices of this rank's part; may be that part of the first partial. `squares`: for each block of the part
  /// its sum of squares (valid once the math is finished). All ranks, the same buckets in the same order.
  virtual void reduce(std::size_t b, std::span<const std::span<const float>> partials, std::span<float> own,
                      std::span<double> squares) = 0;

  /// `bucket`: bucket b of a flat array with elements of `element_bytes`; this rank's part is in place, afterwards all
  /// are.
  virtual void gather(std::size_t b, std::span<std::byte> bucket, std::size_t element_bytes) = 0;

  /// Not collective, from any thread: whoever waits for other ranks in here throws, now and later.
  virtual void cancel() = 0;

  /// Of staging memory.
  virtual std::size_t bytes() const = 0;
};

/// Along the fixed tree over `slices`; on two levels where the map says so. `ranks`, `math` and `map` must outlive it.
/// Collective.
std::unique_ptr<ShardReducer> make_tree_reducer(Communicator& ranks, ArrayMath& math, const ShardMap& map,
                                                std::int64_t slices);

/// In the order of Communicator::reduce_scatter; on one level. Collective.
std::unique_ptr<ShardReducer> make_fastest_reducer(Communicator& ranks, ArrayMath& math, const ShardMap& map);

}  // namespace pathline::cluster

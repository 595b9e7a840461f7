// SPDX-License-Identifier: Apache-2.0
// Other orders of a set, and its division in two: which items go where. data/store_columns.h writes them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "data/shard_source.h"

namespace pathline::data {

/// All items: in a keyed order where there is a seed, and then class by class where that is asked for.
std::vector<std::int64_t> repacked_order(const ShardSource& source, bool by_class, std::optional<std::uint64_t> seed);

struct SplitOptions {
  std::int64_t held_out = 0;  // items of the second part, 1 to count - 1
  bool stratified = true;     // every class gives its share of them, to the nearest item
  std::uint64_t seed = 0;
};

/// The two parts, each in the order of the set.
struct Split {
  std::vector<std::int64_t> training, held_out;
};

/// A keyed choice: the same on every machine, of every class as many as its share says (largest remainders, the first
/// class first where they are equal).
Split split(const ShardSource& source, const SplitOptions& options);

}  // namespace pathline::data

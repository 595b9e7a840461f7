// SPDX-License-Identifier: Apache-2.0
// Reads all of a data set and compares it with what is stored about it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/shard_source.h"

namespace pathline::data {

struct Verified {
  std::string digest;                 // of what was read, in order
  std::string unordered;              // of what was read, in any order
  std::int64_t checked = 0;           // items that have a stored checksum
  std::vector<std::int64_t> damaged;  // items whose bytes differ from it or cannot be read
};

Verified verify(const ShardSource& source, int threads, const std::function<void(std::int64_t done)>& progress);

/// How many items every class has; empty without labels.
std::vector<std::int64_t> class_counts(const ShardSource& source);

}  // namespace pathline::data

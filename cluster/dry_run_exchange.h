// SPDX-License-Identifier: Apache-2.0
// What reducing the gradients and gathering the parameters of a run costs a rank on the wire, found by running the real
// reducers over ranks and memory that do not exist.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cluster/reduction_tree.h"
#include "cluster/shard_map.h"

namespace pathline::cluster {

/// The run that is not there.
struct ExchangePlan {
  std::vector<Range> buckets;      // of the flat buffers, as for ShardMap
  std::vector<std::string> hosts;  // of every rank
  std::int64_t slices = 1;
  bool fastest = false;             // the library's own order instead of the fixed tree
  std::size_t parameter_bytes = 4;  // of an element that is gathered
};

/// What one rank sends for one bucket.
struct Traffic {
  std::int64_t messages = 0;
  std::int64_t bytes_within_nodes = 0;
  std::int64_t bytes_between_nodes = 0;

  Traffic& operator+=(const Traffic& other);
};

struct RankExchange {
  std::vector<FoldStep> fold_plan;      // of the rank's slices
  std::vector<Range> own;               // of the flat buffers, by bucket
  std::vector<Traffic> reduce, gather;  // by bucket
  std::size_t staging_bytes = 0;        // memory of the reducer
};

/// Local and cheap: no memory of the buckets' size is touched.
RankExchange dry_run_exchange(const ExchangePlan& plan, int rank);

/// Ranks dealt out to hosts in order, `per_node` each.
std::vector<std::string> hosts_of(int ranks, int per_node);

}  // namespace pathline::cluster

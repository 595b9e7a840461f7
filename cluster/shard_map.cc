// SPDX-License-Identifier: Apache-2.0
#include "cluster/shard_map.h"

#include <algorithm>

#include "cluster/block_layout.h"
#include "core/error.h"

namespace pathline::cluster {

Levels levels_of(const Topology& topology) {
  const int world = static_cast<int>(topology.hosts.size());
  const int hosts = topology.host_count;
  if (hosts <= 1 || world % hosts != 0) return {1, world};
  const int per_host = world / hosts;
  for (int r = 0; r < world; ++r) {
    if (topology.hosts[r] != topology.hosts[r / per_host * per_host]) return {1, world};
  }
  return {hosts, per_host};
}

int place_of(int rank, const Levels& levels) {
  return levels.two() ? rank % levels.per_host * levels.hosts + rank / levels.per_host : rank;
}

ShardMap::ShardMap(std::vector<Range> buckets, const Levels& levels, int rank, int world)
    : buckets_(std::move(buckets)), levels_(levels), rank_(rank), world_(world) {
  std::size_t begin = 0;
  for (const Range& bucket : buckets_) {
    PL_ASSERT(bucket.begin == begin && bucket.size() % kBlock == 0);
    begin = bucket.end;
  }
  own_ = parts_of(rank);
}

std::vector<std::size_t> ShardMap::offsets(std::size_t b) const {
  return shard_offsets(buckets_[b].size() / kBlock, world_);
}

std::size_t ShardMap::own_elements() const { return own_.empty() ? 0 : own_.back().local + own_.back().range.size(); }

std::vector<OwnPart> ShardMap::parts_of(int rank) const {
  const int place = place_of(rank, levels_);
  std::vector<OwnPart> parts;
  std::size_t local = 0;
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    const auto at = offsets(b);
    const Range range{buckets_[b].begin + at[place], buckets_[b].begin + at[place + 1]};
    parts.push_back({range, local});
    local += range.size();
  }
  return parts;
}

}  // namespace pathline::cluster

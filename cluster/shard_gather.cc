// SPDX-License-Identifier: Apache-2.0
#include "cluster/shard_gather.h"

namespace pathline::cluster {
namespace {

std::vector<int> ranks_of_host(const ShardMap& map) {
  std::vector<int> members;
  const int first = map.rank() / map.levels().per_host * map.levels().per_host;
  for (int l = 0; l < map.levels().per_host; ++l) members.push_back(first + l);
  return members;
}

std::vector<int> ranks_across(const ShardMap& map) {
  std::vector<int> members;
  const int per_host = map.levels().per_host;
  for (int h = 0; h < map.levels().hosts; ++h) members.push_back(h * per_host + map.rank() % per_host);
  return members;
}

std::vector<std::size_t> times(std::vector<std::size_t> offsets, std::size_t factor) {
  for (auto& offset : offsets) offset *= factor;
  return offsets;
}

}  // namespace

LevelRanks::LevelRanks(Communicator& ranks, const ShardMap& map) : map_(map) {
  if (map.levels().two()) {
    host_ = ranks.subset(ranks_of_host(map));
    across_ = ranks.subset(ranks_across(map));
  } else {
    host_ = duplicate(ranks);
  }
}

void LevelRanks::cancel() {
  host_->cancel();
  if (across_) across_->cancel();
}

void LevelRanks::gather(std::size_t b, std::span<std::byte> bucket, std::size_t element_bytes) {
  const auto offsets = map_.offsets(b);
  if (!map_.levels().two()) {
    host_->all_gather_in_place(bucket, times(offsets, element_bytes));
    return;
  }
  const auto locals = times(offsets_of_locals(offsets, map_.levels()), element_bytes);
  const int local = host_->rank();
  const auto part = bucket.subspan(locals[local], locals[local + 1] - locals[local]);
  across_->all_gather_in_place(part, times(offsets_within(offsets, map_.levels(), local), element_bytes));
  host_->all_gather_in_place(bucket, locals);
}

std::vector<std::size_t> offsets_of_locals(const std::vector<std::size_t>& offsets, const Levels& levels) {
  std::vector<std::size_t> result;
  for (int l = 0; l <= levels.per_host; ++l) result.push_back(offsets[l * levels.hosts]);
  return result;
}

std::vector<std::size_t> offsets_within(const std::vector<std::size_t>& offsets, const Levels& levels, int local) {
  std::vector<std::size_t> result;
  const std::size_t first = offsets[local * levels.hosts];
  for (int h = 0; h <= levels.hosts; ++h) result.push_back(offsets[local * levels.hosts + h] - first);
  return result;
}

}  // namespace pathline::cluster

// SPDX-License-Identifier: Apache-2.0
// The ranks of each level (shard_map.h), and the gather through them that both reducers use.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "cluster/shard_map.h"

namespace pathline::cluster {

class LevelRanks {
 public:
  /// Collective.
  LevelRanks(Communicator& ranks, const ShardMap& map);

  /// The ranks of this host; on one level all ranks.
  Communicator& host() { return *host_; }
  /// The ranks with this rank's number on their hosts; with two levels only.
  Communicator& across() { return *across_; }

  /// See ShardReducer::cancel().
  void cancel();

  /// See ShardReducer::gather(): between hosts first, so that each byte crosses once a host. Collective.
  void gather(std::size_t b, std::span<std::byte> bucket, std::size_t element_bytes);

 private:
  const ShardMap& map_;
  std::unique_ptr<Communicator> host_, across_;
};

/// Of a bucket's offsets by place: those of the parts of all local numbers, and of the owners within part `local`
/// (starting at 0).
std::vector<std::size_t> offsets_of_locals(const std::vector<std::size_t>& offsets, const Levels& levels);
std::vector<std::size_t> offsets_within(const std::vector<std::size_t>& offsets, const Levels& levels, int local);

}  // namespace pathline::cluster

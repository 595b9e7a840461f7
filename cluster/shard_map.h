// SPDX-License-Identifier: Apache-2.0
// Which rank owns what of the flat buffers: one contiguous range of whole blocks of every bucket.
// Note [Places]
// Where ranks share hosts, reductions and gathers go in two levels: among the ranks of a host, then among the ranks
// with the same number on their hosts. The parts of a host's rank l must then lie together, whatever the host: owners
// are in the order of their places, l * hosts + host. On one level a rank's place is its number.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "cluster/topology.h"

namespace pathline::cluster {

/// How the ranks of a run are arranged for reductions.
struct Levels {
  int hosts = 1;     // 1: one level
  int per_host = 1;  // ranks on each host
  bool two() const { return hosts > 1 && per_host > 1; }
};

/// Two levels if several hosts have equally many ranks, in rank order host by host; else one level among all.
Levels levels_of(const Topology& topology);

/// The place of a rank; see Note [Places].
int place_of(int rank, const Levels& levels);

/// Elements [begin, end) of the flat buffers.
struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t size() const { return end - begin; }
  bool operator==(const Range&) const = default;
};

/// The part of one bucket that this rank owns, and where it lies among all that the rank owns.
struct OwnPart {
  Range range;            // in the flat buffer
  std::size_t local = 0;  // elements of earlier buckets' parts
};

class ShardMap {
 public:
  /// `buckets`: adjacent ranges of whole blocks from 0.
  ShardMap(std::vector<Range> buckets, const Levels& levels, int rank, int world);

  std::size_t buckets() const { return buckets_.size(); }
  Range bucket(std::size_t b) const { return buckets_[b]; }
  const Levels& levels() const { return levels_; }
  int rank() const { return rank_; }
  int world() const { return world_; }

  /// world + 1 offsets into bucket b (0 = its first element), in the order of places.
  std::vector<std::size_t> offsets(std::size_t b) const;

  const OwnPart& own(std::size_t b) const { return own_[b]; }
  std::size_t own_elements() const;
  /// The parts of any rank, bucket by bucket.
  std::vector<OwnPart> parts_of(int rank) const;

 private:
  std::vector<Range> buckets_;
  Levels levels_;
  int rank_, world_;
  std::vector<OwnPart> own_;
};

}  // namespace pathline::cluster

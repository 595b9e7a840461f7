// SPDX-License-Identifier: Apache-2.0
// The order of samples where several are decoded together (compressed chunks of many images): a fixed number of lanes,
// each of which reads one group after the other. A slice of the batch always draws from the same lanes, so every group
// is decoded once an epoch, by the rank that has the slice; only a group that two lanes share is decoded twice. Like
// SampleOrder it visits every sample once an epoch and is a pure function of the position: nothing depends on the
// number of ranks. Specified in docs/formats/order.md.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "data/sample_order.h"

namespace pathline::data {

/// The groups of a data set: samples [firsts[g], firsts[g + 1]), the last one up to `count`.
struct Groups {
  std::vector<std::int64_t> firsts;
  std::int64_t count = 0;
  std::int64_t most = 0;  // samples in the largest group
};

/// Room for decoded groups that a lane needs: the one that it reads, perhaps the next one, and perhaps one that it has
/// left since that was decoded. `sample_bytes` is of one sample.
std::size_t lane_bytes(const Groups& groups, std::size_t sample_bytes);

/// Lanes for each of `slices`: 0, which means SampleOrder, where nothing is decoded together or all of it fits into
/// `budget` bytes; else as many as fit, at most 16, at least one.
std::int64_t plan_lanes(const Groups& groups, std::size_t sample_bytes, std::int64_t slices, std::size_t budget);

class LaneOrder {
 public:
  /// Over the samples that `hold_out` leaves for training. `batch` is a multiple of `slices`. At most 2^32 groups.
  LaneOrder(std::uint64_t seed, Groups groups, const HoldOut& hold_out, std::int64_t batch, std::int64_t slices,
            std::int64_t lanes_a_slice);

  /// The samples at positions first, first + 1, ... of training. Any thread.
  void samples(std::uint64_t first, std::span<std::int64_t> out) const;
  /// For each of these positions a sample of a group that its lane enters soon, or -1. Each group is named once, each
  /// lane at another distance, so that whoever decodes what is named has the same work at all times.
  void ahead(std::uint64_t first, std::span<std::int64_t> out) const;
  std::int64_t sample(std::uint64_t position) const;
  std::int64_t ahead(std::uint64_t position) const;

  std::int64_t lanes() const { return slices_ * lanes_a_slice_; }
  /// Groups decoded in an epoch over groups, at most.
  double amplification() const;

 private:
  struct Epoch;
  struct Place {
    std::int64_t lane;
    std::uint64_t index;  // of the sample among those of its lane in this epoch
  };
  std::uint64_t positions_before(std::uint64_t position, std::int64_t slice) const;
  Place place_of(std::uint64_t position, std::uint64_t epoch) const;
  std::shared_ptr<const Epoch> epoch(std::uint64_t number) const;
  std::int64_t sample_at(const Epoch& epoch, std::uint64_t place) const;

  std::uint64_t seed_;
  Groups groups_;
  std::int64_t batch_, slices_, lanes_a_slice_;
  std::vector<std::int64_t> held_out_;    // ascending
  std::vector<std::int64_t> held_first_;  // (groups + 1) how many of them lie before each group
  std::uint64_t count_;                   // samples to train on
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Epoch> epochs_[2];  // those that were asked for last
};

}  // namespace pathline::data

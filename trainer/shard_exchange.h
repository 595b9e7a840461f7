// SPDX-License-Identifier: Apache-2.0
// Brings gradients to their owners and parameters to everybody, bucket by bucket, on a thread of its own, while the
// backward pass and the next forward pass go on.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cluster/shard_map.h"
#include "cluster/shard_reducer.h"
#include "core/task_thread.h"
#include "trainer/backend.h"
#include "trainer/flat_layout.h"
#include "trainer/options.h"

namespace pathline::trainer {

class ShardExchange {
 public:
  /// Collective. `levels`: how ranks share hosts (with reduction = "fastest" one level is used). References must
  /// outlive it.
  ShardExchange(Backend& backend, const FlatLayout& layout, cluster::Communicator& ranks, const TrainOptions& train,
                const cluster::Levels& levels);
  /// Ends what is under way, since other ranks wait for our part of it; but while an exception unwinds they may never
  /// come: it is broken off, and its memory is never freed, because the library may still send from it and receive into
  /// it.
  ~ShardExchange();

  const cluster::ShardMap& map() const { return map_; }
  /// How this rank's slices are to be folded before they are reduced.
  std::vector<cluster::FoldStep> fold_plan(cluster::SliceRange own) const { return reducer_->fold_plan(own); }

  /// Starts to reduce bucket b of `partials` (whole flat buffers) into this rank's part of the first one. All ranks, in
  /// the same order of buckets.
  void start_reduce(std::size_t b, std::span<const at::Tensor> partials);
  /// Waits for all reductions: what the calling thread computes from now on finds their results.
  void finish_reductions();
  /// After that: the sum of squares of every block that this rank owns, bucket by bucket.
  std::span<const double> own_squares() const { return squares_; }

  /// Starts to give everybody the owners' parts of bucket b of `flat`. All ranks, the last bucket first.
  void start_gather(std::size_t b, const at::Tensor& flat);
  /// Waits until gathers of buckets b, b + 1, ... that were started are done.
  void wait_for_gathers(std::size_t b);

  /// Seconds since the start in which reductions and gathers were under way, and those in which somebody waited for
  /// them.
  double busy_seconds() { return thread_->busy_seconds(); }
  double exposed_seconds() const { return exposed_seconds_; }
  /// Of staging memory.
  std::size_t bytes() const { return reducer_->bytes(); }

 private:
  void wait_for(std::uint64_t task);
  void break_off();

  Backend& backend_;
  const FlatLayout& layout_;
  cluster::ShardMap map_;
  std::unique_ptr<cluster::ShardReducer> reducer_;
  std::vector<double> squares_;
  std::vector<std::uint64_t> gathers_;  // by bucket: the number of its last gather; 0: none is under way
  std::uint64_t last_reduction_ = 0;
  std::vector<at::Tensor> reduced_;  // whose memory the last reductions and gathers use
  at::Tensor gathered_;
  double exposed_seconds_ = 0;
  int exceptions_;
  std::unique_ptr<core::TaskThread> thread_;  // last: it uses the others
};

}  // namespace pathline::trainer

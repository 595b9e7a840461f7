// SPDX-License-Identifier: Apache-2.0
// What every rank must know of a step: its loss and the norm of its gradient, both summed in an order that does not
// depend on the number of ranks. One small all-gather.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/communicator.h"
#include "cluster/shard_map.h"

namespace pathline::trainer {

class StepScalars {
 public:
  /// References must outlive it.
  StepScalars(cluster::Communicator& ranks, const cluster::ShardMap& map, std::int64_t slices);

  struct Result {
    double loss_sum = 0;  // over all samples of the batch
    double gradient_norm = 0;
  };
  /// `losses`: the sum over each own slice. `squares`: of every own block of the gradient, bucket by bucket. The same
  /// result on every rank. Collective.
  Result agree(std::span<const double> losses, std::span<const double> squares);

 private:
  /// Blocks that lie together both in a rank's message and in the flat buffer.
  struct Stretch {
    std::size_t in_message, first_block, blocks;
  };

  cluster::Communicator& ranks_;
  std::vector<std::size_t> offsets_;    // of each rank's numbers in the message, in bytes
  std::vector<std::size_t> losses_at_;  // by slice: its place in the message
  std::vector<Stretch> stretches_;
  std::vector<double> message_, blocks_;
};

}  // namespace pathline::trainer

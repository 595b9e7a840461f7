// SPDX-License-Identifier: Apache-2.0
// The state of training in flat buffers (docs/architecture.md, "Sharded state"). Parameters are whole on every rank;
// moments and averages exist only for the rank's own shard, a contiguous range of whole blocks.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "trainer/flat_layout.h"
#include "trainer/options.h"

namespace pathline::trainer {

/// One kind of state as a checkpoint names it, with this rank's part.
struct NamedShard {
  std::string kind;         // "master", "adam_m", "adam_v", "ema-0.999"
  std::span<float> values;  // elements [begin, end) of the flat buffer
};

class ShardedState {
 public:
  /// Moves the model's parameters into the flat buffer: from here on they are views of it. `shard_offsets` (world + 1
  /// elements) says which rank owns what. Averages start as copies of the parameters.
  ShardedState(FlatLayout layout, const std::vector<model::NamedTensor>& parameters, const EmaOptions& averages,
               std::vector<std::size_t> shard_offsets, int rank);

  const FlatLayout& layout() const { return layout_; }
  std::size_t begin() const { return offsets_[static_cast<std::size_t>(rank_)]; }
  std::size_t end() const { return offsets_[static_cast<std::size_t>(rank_) + 1]; }
  const std::vector<std::size_t>& shard_offsets() const { return offsets_; }
  std::span<float> parameters();

  /// This rank's part of every kind of state, in a fixed order. In fp32 the parameters are their own masters.
  std::vector<NamedShard> shards();

  /// All ranks: global gradient norm out of the owners' shards, the same bits on any number of ranks.
  double gradient_norm(cluster::Communicator& ranks, std::span<const float> own_gradient) const;

  /// Local: one optimizer step on the own shard. `step` counts optimizer steps from 0.
  void update(const OptimizerOptions& options, std::int64_t step, std::span<const float> own_gradient,
              double gradient_scale);

  /// All ranks: everybody gets the owners' new parameters.
  void gather_parameters(cluster::Communicator& ranks);

  /// All ranks: while it lives the model's parameters are those of an average.
  class AverageInPlace {
   public:
    AverageInPlace(ShardedState& state, std::size_t average, cluster::Communicator& ranks);
    ~AverageInPlace();
    AverageInPlace(const AverageInPlace&) = delete;
    AverageInPlace& operator=(const AverageInPlace&) = delete;

   private:
    ShardedState& state_;
    at::Tensor other_;
  };

 private:
  FlatLayout layout_;
  EmaOptions average_options_;
  std::vector<std::size_t> offsets_;
  int rank_;
  at::Tensor parameters_;             // (layout.elements)
  at::Tensor moment1_, moment2_;      // (end - begin)
  std::vector<at::Tensor> averages_;  // (end - begin) each
};

}  // namespace pathline::trainer

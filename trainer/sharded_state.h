// SPDX-License-Identifier: Apache-2.0
// The state of training in flat buffers (docs/architecture.md, "State"). Parameters are whole on every rank, in the
// precision of training; moments, averages and (in bf16) fp32 masters exist only for the rank's own parts of the
// buckets.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "trainer/backend.h"
#include "trainer/flat_layout.h"
#include "trainer/memory_ledger.h"
#include "trainer/optimizer.h"
#include "trainer/options.h"
#include "trainer/shard_exchange.h"

namespace pathline::trainer {

/// One kind of state as a checkpoint names it, with this rank's parts: one fp32 tensor (part) a bucket, on the device.
struct NamedShard {
  std::string kind;  // "master", the optimizer's, "ema-0.999"
  std::vector<at::Tensor> parts;
};

class ShardedState {
 public:
  /// Moves the model's parameters into a flat buffer of the recipe's precision: from here on they are views of it.
  /// Masters and averages start as the parameters were. `levels`: how ranks share hosts. References must outlive it.
  /// Collective.
  ShardedState(const std::vector<model::NamedTensor>& parameters, const Recipe& recipe, Backend& backend,
               cluster::Communicator& ranks, const cluster::Levels& levels);

  const FlatLayout& layout() const { return layout_; }
  ShardExchange& exchange() { return exchange_; }

  /// This rank's part of every kind of state, in a fixed order.
  std::vector<NamedShard> shards();

  /// One optimizer step on the own parts, then the gather of what became of them is under way. `gradient`: a flat fp32
  /// buffer whose own parts hold the gradient. `step` counts optimizer steps from 0. Collective.
  void update(std::int64_t step, const at::Tensor& gradient, double gradient_scale);

  /// Returns when the first `count` parameters in order of execution have arrived.
  void wait_for_parameters(std::size_t count);
  void wait_for_all_parameters() { exchange_.wait_for_gathers(0); }

  /// Masters have been written from outside: everybody gets parameters that agree with them. Collective.
  void spread_masters();

  /// While it lives the model's parameters are those of an average. Collective.
  class AverageInPlace {
   public:
    AverageInPlace(ShardedState& state, std::size_t average);
    ~AverageInPlace();
    AverageInPlace(const AverageInPlace&) = delete;
    AverageInPlace& operator=(const AverageInPlace&) = delete;

   private:
    ShardedState& state_;
    at::Tensor own_parameters_;
  };

  std::vector<MemoryUse> memory() const;

 private:
  bool has_masters() const { return masters_.defined(); }
  at::Tensor own_parameters(std::size_t bucket) const;
  at::Tensor own_part(const at::Tensor& shard, std::size_t bucket) const;
  ShardArrays arrays_of(std::size_t bucket, std::int64_t step, const at::Tensor& gradient) const;
  void gather_all();

  FlatLayout layout_;
  EmaOptions average_options_;
  std::unique_ptr<Optimizer> optimizer_;
  std::vector<GroupSettings> groups_;  // by tensor
  ShardExchange exchange_;
  at::Tensor parameters_;             // (layout.elements), the precision of training
  at::Tensor masters_;                // (own elements) fp32; undefined in fp32, where the parameters are their own
  std::vector<at::Tensor> moments_;   // (own elements) fp32 each, in the order of optimizer_->state_names()
  std::vector<at::Tensor> averages_;  // (own elements) fp32 each
};

}  // namespace pathline::trainer

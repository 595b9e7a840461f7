// SPDX-License-Identifier: Apache-2.0
// How large a step was for each block of the network: the norm of its gradient and of what the update changed. For
// looking, not for training: computed only in steps that ask for it.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/communicator.h"
#include "trainer/sharded_state.h"

namespace pathline::trainer {

/// The block that a parameter belongs to: its name up to the first number ("blocks.3.attn.qkv.weight" -> "blocks.3"),
/// or its first word ("final_layer.linear.bias" -> "final_layer").
std::string block_of(std::string_view parameter);

/// Both calls of a step are collective. Sums are of pieces that do not depend on ranks (a tensor's part of a block of
/// 4,096 elements), along a fixed tree over them: the same bits on any number of ranks.
class BlockNorms {
 public:
  /// References must outlive it.
  BlockNorms(ShardedState& state, cluster::Communicator& ranks) : state_(state), ranks_(ranks) {}

  /// Before an update. `gradient`: as ShardedState::update() takes it, not yet clipped. Keeps a copy of the own masters
  /// until after_update().
  void before_update(const at::Tensor& gradient);
  /// "gradient_norm/BLOCK" and "update_norm/BLOCK" of every block, and forgets the copy.
  std::map<std::string, double> after_update();

 private:
  std::map<std::string, double> norms_of(const std::vector<at::Tensor>& own_parts, const std::string& prefix) const;

  ShardedState& state_;
  cluster::Communicator& ranks_;
  std::vector<at::Tensor> masters_;  // the own parts before the update, by bucket, on the device
  std::map<std::string, double> norms_;
};

}  // namespace pathline::trainer

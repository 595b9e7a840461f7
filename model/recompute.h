// SPDX-License-Identifier: Apache-2.0
// Activation checkpointing: a block keeps its inputs alone for the backward pass and is computed once more there
// (Chen et al., "Training deep nets with sublinear memory cost", 2016).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace pathline::model {

/// "none" | "every:n" | "all" -> 0 | n | 1, as Module::set_activation_checkpointing takes it.
/// Throws ExitCode::kUsage for anything else.
std::int64_t parse_activation_checkpointing(const std::string& text);

/// A pure function of its inputs and of tensors that live as long as the network: called again, it gives the same bits.
using BlockFunction = std::function<at::Tensor(at::TensorList inputs)>;

/// block(inputs), whose backward pass computes the block again. All that gets a gradient is named: in `inputs`, or in
/// `parameters`, the leaves that the block reads. Their gradients have the bits that plain autograd gives, and leave
/// this node like any other's: each parameter is accumulated into once, after the block's backward pass, and hooks on
/// the accumulation run once. A hook on the parameter tensor itself (Tensor::register_hook) runs twice.
/// First derivatives only. While autograd does not record it is block(inputs).
at::Tensor recomputed(BlockFunction block, at::TensorList inputs, const std::vector<at::Tensor>& parameters);

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
// What every network is to those who train, store or load it: named tensors. What it computes is its kind's
// (velocity_model.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/model_options.h"

namespace pathline::model {

/// What a network is asked for, beside its arguments. Tensors live on the network's device.
struct Condition {
  at::Tensor labels;  // (N) int64 in [0, classes]; `classes` is the null label. Undefined for unconditional models.
  /// Keys of dropout: training position of each row's sample. Used only in training mode.
  std::uint64_t seed = 0;
  std::vector<std::uint64_t> positions;  // (N), empty outside training
  // Of models conditioned on text (MM-DiT), else undefined. Every token counts: there is no mask.
  at::Tensor text;    // (N, T, W) floating, one row a token of the prompt
  at::Tensor pooled;  // (N, P) floating, the prompt as a whole
  /// Of inpainting: pixels where they are known, else 0, and the mask behind them, 1 where they are: (N, C + 1, H, W),
  /// points (N, 2 D), fp32.
  at::Tensor known;
};

struct NamedTensor {
  std::string name;  // as the original Python code names it
  at::Tensor tensor;
};

/// One network. Not thread-safe. Whether autograd records is the caller's choice (at::NoGradGuard).
class Module {
 public:
  virtual ~Module() = default;

  /// Trainable tensors in order of execution. The tensors are the model's own: writing into them changes the model.
  virtual const std::vector<NamedTensor>& parameters() const = 0;
  /// Frozen tensors that are stored with the weights (pos_embed).
  virtual const std::vector<NamedTensor>& buffers() const = 0;

  virtual const ModelOptions& options() const = 0;
  virtual void set_training(bool training) = 0;

  /// `gate(n)` returns when parameters()[0, n) may be read. Every forward calls it on its own thread before each group
  /// of layers (stem, every block, head), n growing to the number of parameters; a forward cut short by an exception
  /// stops anywhere. A block that is computed once more for its gradients does not call it. The training engine waits
  /// here for parameters that are still being gathered. An empty function takes the gate away.
  virtual void set_parameter_gate(std::function<void(std::size_t)> gate) = 0;

  /// Blocks every, 2 every, ... (counted from 1 in order of execution) keep only their inputs for the backward pass and
  /// are computed again there; 1: all, 0: none (at first). No bit of any gradient changes; second derivatives are not
  /// available. Blocks are those of a transformer; of a U-Net the residual and the attention blocks. The model must
  /// outlive the backward pass. Throws ExitCode::kUsage where the network has no blocks (MLP) and every > 0.
  virtual void set_activation_checkpointing(std::int64_t every) = 0;
};

/// A new network of the kind that options.name stands for. Initial weights follow the original code's laws but are
/// keyed by (seed, parameter name). Throws ExitCode::kUsage for options that make no network.
std::unique_ptr<Module> make_module(const ModelOptions& options, std::uint64_t seed);

struct ParameterShape {
  std::string name;
  std::vector<std::int64_t> shape;
};

/// Names and shapes of make_module(options)->parameters() without their memory.
std::vector<ParameterShape> parameter_table(const ModelOptions& options);

}  // namespace pathline::model

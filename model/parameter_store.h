// SPDX-License-Identifier: Apache-2.0
// The named tensors of one network, in order of execution, and the laws of their initial values.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/module.h"

namespace pathline::model {

/// What a tensor is filled with at the start.
struct Initial {
  enum class Law { kZero, kOne, kUniform, kNormal } law;
  double size = 0.0;  // half width of the uniform law around 0; standard deviation of the normal law

  static Initial zero() { return {Law::kZero}; }
  static Initial one() { return {Law::kOne}; }
  static Initial uniform(double half_width) { return {Law::kUniform, half_width}; }
  static Initial normal(double deviation) { return {Law::kNormal, deviation}; }
};

class ParameterStore {
 public:
  /// Draws are keyed by (seed, parameter name). Without a seed tensors have shapes but no memory (device meta).
  explicit ParameterStore(std::optional<std::uint64_t> seed) : seed_(seed) {}

  /// A new trainable fp32 tensor; add() in the order in which the forward pass uses them.
  at::Tensor add(const std::string& name, const std::vector<std::int64_t>& shape, Initial initial);
  /// A frozen tensor that is stored with the weights.
  at::Tensor add_buffer(const std::string& name, const at::Tensor& values);

  /// The parameters added since the last call are used together: one group of layers.
  void end_group() { group_ends_.push_back(parameters_.size()); }

  const std::vector<NamedTensor>& parameters() const { return parameters_; }
  /// Those whose names begin with `name` and a dot.
  std::vector<at::Tensor> parameters_of(const std::string& name) const;
  const std::vector<NamedTensor>& buffers() const { return buffers_; }
  /// Number of parameters up to the end of each group.
  const std::vector<std::size_t>& group_ends() const { return group_ends_; }

 private:
  std::optional<std::uint64_t> seed_;
  std::vector<NamedTensor> parameters_;
  std::vector<NamedTensor> buffers_;
  std::vector<std::size_t> group_ends_;
};

}  // namespace pathline::model

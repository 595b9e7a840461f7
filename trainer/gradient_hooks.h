// SPDX-License-Identifier: Apache-2.0
// Hands over each parameter's gradient the moment autograd has accumulated it in a backward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "model/velocity_model.h"

namespace pathline::trainer {

class GradientHooks {
 public:
  /// take(i, gradient) is called for parameters[i] in the thread of the backward pass; its .grad is empty afterwards.
  GradientHooks(const std::vector<model::NamedTensor>& parameters,
                std::function<void(std::size_t, const at::Tensor&)> take);
  ~GradientHooks();
  GradientHooks(const GradientHooks&) = delete;
  GradientHooks& operator=(const GradientHooks&) = delete;

 private:
  std::vector<at::Tensor> parameters_;
};

}  // namespace pathline::trainer

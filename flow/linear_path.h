// SPDX-License-Identifier: Apache-2.0
// The linear path x_t = t x1 + (1 - t) x0 from noise x0 (t = 0) to data x1 (t = 1) and its conditional velocity
// x1 - x0 (Lipman et al., arXiv 2210.02747; Liu et al., arXiv 2209.03003).
#pragma once

#include <ATen/core/Tensor.h>

namespace pathline::flow {

struct PathSample {
  at::Tensor x;         // (N, ...) x_t
  at::Tensor velocity;  // (N, ...) d x_t / dt given x0 and x1
};

/// x0, x1 (N, ...), t (N).
PathSample linear_path(const at::Tensor& x0, const at::Tensor& x1, const at::Tensor& t);

/// (N): squared error of each sample, mean over its elements. Differentiable in `prediction`.
at::Tensor squared_error_per_sample(const at::Tensor& prediction, const at::Tensor& target);

}  // namespace pathline::flow

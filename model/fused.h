// SPDX-License-Identifier: Apache-2.0
// The memory-bound pieces of an adaLN transformer block, each with its gradients.
#pragma once

#include <ATen/core/Tensor.h>

namespace pathline::model {

/// LN(x) (1 + scale) + shift; LN over the last dimension without parameters, eps 1e-6.
/// x (N, T, D); shift, scale (N, D).
at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale);

/// x + gate y. x, y (N, T, D); gate (N, D).
at::Tensor gated_residual(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& y);

}  // namespace pathline::model

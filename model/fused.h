// SPDX-License-Identifier: Apache-2.0
// Halves of an adaLN transformer block on the host, each one node of autograd: first derivatives only. fp32 or bf16,
// parameters and x of one type; sums, norms, softmax and GELU are computed in fp32.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/layers.h"

namespace pathline::model {

/// LN(x) (1 + scale) + shift; LN over the last dimension without parameters, eps 1e-6. Any device.
/// x (N, T, D); shift, scale (N, D).
at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale);

/// x + gate y. x, y (N, T, D); gate (N, D). Any device.
at::Tensor gated_residual(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& y);

/// Whether the two halves below can take x (N, T, D): it is on the host and of a type that its processor multiplies in
/// blocks, and, for bf16, the widths of a head and of the MLP are even.
bool can_fuse(const at::Tensor& x, std::int64_t head_width, std::int64_t mlp_width);

/// x + gate projection(attention(LN(x) (1 + scale) + shift)). x (N, T, D); modulation (N, 3 D) = shift, scale, gate.
at::Tensor fused_attention(const at::Tensor& x, const at::Tensor& modulation, const Linear& qkv,
                           const Linear& projection, std::int64_t heads);

/// x + gate narrow(gelu(widen(LN(x) (1 + scale) + shift))). Shapes as above.
at::Tensor fused_mlp(const at::Tensor& x, const at::Tensor& modulation, const Linear& widen, const Linear& narrow);

}  // namespace pathline::model

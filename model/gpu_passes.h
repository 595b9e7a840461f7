// SPDX-License-Identifier: Apache-2.0
// The memory-bound passes of an adaLN transformer block on a GPU, each one node of autograd (first derivatives only).
// gpu_passes.cc; no_gpu_passes.cc where the build has no CUDA.
//
// Note [Passes on the GPU]: plain ATen reads and writes (N, T, D) about ten times for the gradients of one modulated
// norm and one gated residual; here it is once each. Numbers are fp32 or bf16 in memory and fp32 in between. Sums over
// tokens are taken in chunks of 32 in turn and then over the chunks: a sample's bits depend on nothing but itself.
#pragma once

#include <ATen/core/Tensor.h>

namespace pathline::model {

/// Whether the two passes below take x (N, T, D): on a GPU, fp32 or bf16, D a multiple of 16 bytes and not too wide.
bool has_gpu_passes(const at::Tensor& x);

/// LN(x) (1 + scale) + shift; LN over the last dimension without parameters, eps 1e-6. x (N, T, D); shift, scale (N,
/// D); all of one type.
at::Tensor gpu_modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale);

/// x + gate y. x, y (N, T, D); gate (N, D); all of one type.
at::Tensor gpu_gated_residual(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& y);

}  // namespace pathline::model

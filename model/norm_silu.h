// SPDX-License-Identifier: Apache-2.0
// Group norm and SiLU of a U-Net's residual block, one node of autograd on the host: first derivatives only.
// On the host what comes out is channels last (see convolution.h), and is copied to that where it comes in otherwise.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/layers.h"

namespace pathline::model {

/// silu(norm(x + added)). x (N, C, H, W), fp32 or bf16; added (N, C) or undefined: the same for all places.
at::Tensor norm_silu(const at::Tensor& x, const at::Tensor& added, const GroupNorm& norm);

/// silu(norm(x) (1 + scale) + shift). scale, shift (N, C).
at::Tensor modulated_norm_silu(const at::Tensor& x, const GroupNorm& norm, const at::Tensor& scale,
                               const at::Tensor& shift);

/// norm(x) as rows (N, H W, C), contiguous.
at::Tensor norm_rows(const at::Tensor& x, const GroupNorm& norm);

}  // namespace pathline::model

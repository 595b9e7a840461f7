// SPDX-License-Identifier: Apache-2.0
// Group norm and SiLU of a U-Net's residual block, one node of autograd on the host: first derivatives only.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/layers.h"

namespace pathline::model {

/// silu(norm(x + added)). x (N, C, H, W), fp32 or bf16; added (N, C) or undefined: the same for all places.
at::Tensor norm_silu(const at::Tensor& x, const at::Tensor& added, const GroupNorm& norm);

/// silu(norm(x) (1 + scale) + shift). scale, shift (N, C).
at::Tensor modulated_norm_silu(const at::Tensor& x, const GroupNorm& norm, const at::Tensor& scale,
                               const at::Tensor& shift);

}  // namespace pathline::model

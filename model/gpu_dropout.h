// SPDX-License-Identifier: Apache-2.0
// The masks of dropout.h computed on a GPU: the host's bits. gpu_dropout.cc; no_gpu_dropout.cc where the build has no
// CUDA.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/module.h"

namespace pathline::model {

/// Of x's shape, fp32, on its GPU: 0 where an element is dropped, else 1 / (1 - rate).
at::Tensor gpu_dropout_mask(const at::Tensor& x, double rate, const Condition& condition, std::uint32_t layer);

}  // namespace pathline::model

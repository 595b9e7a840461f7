// SPDX-License-Identifier: Apache-2.0
// Keyed noise computed on a GPU. keyed_draws_cuda.cc; no_keyed_draws_cuda.cc where the build has no CUDA.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/random.h"

namespace pathline::flow {

/// (N, shape...) fp32: the bits of keyed_noise() on the host. `positions` (N) int64 on the GPU.
at::Tensor keyed_noise_on_gpu(std::uint64_t seed, core::Purpose purpose, const at::Tensor& positions,
                              at::IntArrayRef shape);

}  // namespace pathline::flow

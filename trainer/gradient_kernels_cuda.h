// SPDX-License-Identifier: Apache-2.0
// gradient_kernels.h on a GPU. Memory of the current device, in the order of `stream`. Only in builds with CUDA.
#pragma once

#include <cstddef>
#include <cstdint>

struct CUstream_st;

namespace pathline::trainer {

void take_fp32_cuda(std::size_t elements, const float* gradient, bool add, float* sum, CUstream_st* stream);
/// bf16 numbers as they lie in memory.
void take_bf16_cuda(std::size_t elements, const std::uint16_t* gradient, bool add, float* sum, CUstream_st* stream);

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
// The loops of cuda_array_math.cc on the GPU, for its own compiler (C++17). Pointers are to memory of the current
// device unless said otherwise; everything happens in the order of `stream`. The bits of the host's loops.
#pragma once

#include <cstddef>

struct CUstream_st;

namespace pathline::cluster {

/// sum[i] = left[i] + right[i].
void add_on_gpu(const float* left, const float* right, float* sum, std::size_t elements, CUstream_st* stream);

/// squares[b] (host memory that the device can reach) = sum of squares of values[b * kBlock ..), in the order of
/// block_norm.h.
void sum_squares_on_gpu(const float* values, std::size_t blocks, double* squares, CUstream_st* stream);

/// Both at once: the squares are those of the sum.
void add_and_sum_squares_on_gpu(const float* left, const float* right, float* sum, std::size_t blocks, double* squares,
                                CUstream_st* stream);

}  // namespace pathline::cluster

// SPDX-License-Identifier: Apache-2.0
// Keyed draws (random.h) computed on a GPU: the same bits as on the host. Only in builds with CUDA.
#pragma once

#include <cstdint>

struct CUstream_st;

namespace pathline::core {

enum class DrawLaw { kUniform, kNormal };

/// out[n * row + p] = place p of Draws(seed, indices[n], purpose), for n < rows and p < row. `out` and `indices` are
/// memory of the current device, `stream` (a cudaStream_t) is one of its streams; returns before the work is done.
void fill_draws_cuda(DrawLaw law, std::uint64_t seed, std::uint32_t purpose, const std::int64_t* indices,
                     std::int64_t rows, std::int64_t row, float* out, CUstream_st* stream);

}  // namespace pathline::core

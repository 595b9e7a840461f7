// SPDX-License-Identifier: Apache-2.0
// The kernels of gpu_passes.cc, for the device's compiler (C++17). Memory of the current device, in the order of
// `stream`.
#pragma once

#include <cstdint>

struct CUstream_st;

namespace pathline::model {

enum class PassType { kFloat, kBFloat16 };

/// x (samples, tokens, width), contiguous; rows of shift, scale and gate are `row_stride` elements apart. Every pointer
/// and row lies on a 16-byte boundary; fits_passes(width, type) holds, and there are at most kMostPassSamples.
struct PassShape {
  PassType type;
  std::int64_t samples, tokens, width, row_stride;
};

constexpr std::int64_t kMostPassSamples = 65535;  // of a grid's second dimension

bool fits_passes(std::int64_t width, PassType type);

/// Partial sums over tokens: (samples, chunks, sums, width) fp32.
std::int64_t pass_chunks(std::int64_t tokens);

/// mean, rstd (samples, tokens) fp32 are written.
void modulated_norm_forward(const PassShape& shape, const void* x, const void* shift, const void* scale, void* out,
                            float* mean, float* rstd, CUstream_st* stream);
/// partials: 2 sums, the gradients of shift and of scale.
void modulated_norm_backward(const PassShape& shape, const void* d, const void* x, const void* scale, const float* mean,
                             const float* rstd, void* dx, float* partials, CUstream_st* stream);

void gated_residual_forward(const PassShape& shape, const void* x, const void* gate, const void* y, void* out,
                            CUstream_st* stream);
/// partials: 1 sum, the gradient of gate.
void gated_residual_backward(const PassShape& shape, const void* d, const void* gate, const void* y, void* dy,
                             float* partials, CUstream_st* stream);

}  // namespace pathline::model

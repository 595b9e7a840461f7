// SPDX-License-Identifier: Apache-2.0
// The loops of fused.cc over the tokens of one sample, fp32, without LibTorch. A sample's sums are taken in one fixed
// order (16 running sums along D, tokens in turn), so that neither threads nor batch mates nor the instruction set
// change a bit. T tokens of D numbers each; every array is contiguous.
#pragma once

#include <cstdint>

namespace pathline::model {

struct SampleSize {
  std::int64_t tokens, width;
};

/// out = (x - mean) / deviation * (1 + scale) + shift. x, out (T, D); shift, scale (D); mean, rstd (T) are written.
void modulated_norm_forward(SampleSize size, const float* x, const float* shift, const float* scale, float* out,
                            float* mean, float* rstd);

/// From d (T, D), the gradient of out: dx (T, D), dshift (D), dscale (D).
void modulated_norm_backward(SampleSize size, const float* d, const float* x, const float* scale, const float* mean,
                             const float* rstd, float* dx, float* dshift, float* dscale);

/// out = x + gate y. x, y, out (T, D); gate (D).
void gated_residual_forward(SampleSize size, const float* x, const float* gate, const float* y, float* out);

/// From d (T, D), the gradient of out: dgate (D), dy (T, D).
void gated_residual_backward(SampleSize size, const float* d, const float* gate, const float* y, float* dgate,
                             float* dy);

}  // namespace pathline::model

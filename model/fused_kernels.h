// SPDX-License-Identifier: Apache-2.0
// The loops between the matrix products of a transformer block. They read and write rows of E, float or c10::BFloat16,
// and compute in fp32; products arrive in fp32. Sums over tokens are taken in one fixed order, so that neither threads
// nor batch mates nor the instruction set change a bit. All rows of one call belong to one sample.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

#include "model/rows.h"

namespace pathline::model {

/// out = LN(x) (1 + scale) + shift, eps 1e-6; mean, rstd (count) are written.
template <class E>
void modulated_norm_forward(Rows rows, const E* x, const E* shift, const E* scale, E* out, float* mean, float* rstd);

/// From d, the gradient of out: dx (plus `residual` where given), and the sums over rows dshift, dscale (width).
/// G is float or E.
template <class E, class G>
void modulated_norm_backward(Rows rows, const G* d, const E* x, const E* scale, const float* mean, const float* rstd,
                             const E* residual, E* dx, float* dshift, float* dscale);

/// y = product + bias (kept where `y` is given), out = x + gate y.
template <class E>
void gated_residual_forward(Rows rows, const E* x, const E* gate, const float* product, const E* bias, E* y, E* out);

/// From d, the gradient of out: dy = gate d, and the sums over rows dgate = sum d y, dbias = sum dy (width).
template <class E>
void gated_residual_backward(Rows rows, const E* d, const E* gate, const E* y, E* dy, float* dgate, float* dbias);

/// h = product + bias; out = GELU(h) in its tanh form (Hendrycks and Gimpel, 2016) and, where `slope` is given,
/// GELU'(h). Rows of out and slope are `stride` apart.
template <class E>
void gelu_forward(Rows rows, const float* product, const E* bias, E* out, E* slope, std::int64_t stride);

/// dh = product * slope and its sums over rows dbias (width). Rows of slope and dh are `stride` apart.
template <class E>
void gelu_backward(Rows rows, const float* product, const E* slope, E* dh, std::int64_t stride, float* dbias);

/// out = product + bias (where given); rows of out are `stride` apart. Where `sums` is given, sums over rows are added.
template <class E>
void write_rows(Rows rows, const float* product, const E* bias, E* out, std::int64_t stride, float* sums = nullptr);

/// out (width) = rows added up in order, `stride` apart.
template <class E>
void sum_rows(Rows rows, const float* in, std::int64_t stride, E* out);

}  // namespace pathline::model

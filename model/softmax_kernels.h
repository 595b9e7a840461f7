// SPDX-License-Identifier: Apache-2.0
// The loops of attention between its products: fp32 arithmetic, E is float or c10::BFloat16.
#pragma once

#include <c10/util/BFloat16.h>

#include "model/rows.h"

namespace pathline::model {

/// p = exp(scale (s - max s)) / sum over each row of s (count, width), rows `stride` apart in p, with zeros between
/// width and stride; peak = max s and share = 1 / sum (count) say how to do it again.
template <class E>
void softmax_rows(Rows rows, const float* s, float scale, E* p, std::int64_t stride, float* peak, float* share);

/// The same probabilities from s^T (keys, queries): peak, share (width) per query.
template <class E>
void softmax_again(Rows rows, const float* s, float scale, const float* peak, const float* share, E* p,
                   std::int64_t stride);

/// Gradient of softmax, transposed (keys, queries): ds = scale p (dp - delta), in place of dp (contiguous); also as E
/// with rows `stride` apart (zeros between) for E = c10::BFloat16. delta (width) per query.
template <class E>
void softmax_backward(Rows rows, const E* p, const float* delta, float scale, float* dp, E* ds, std::int64_t stride);

/// out (count) = sums over each row of a b; rows `stride` apart.
template <class E>
void row_products(Rows rows, const E* a, const E* b, std::int64_t stride, float* out);

}  // namespace pathline::model

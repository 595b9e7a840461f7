// SPDX-License-Identifier: Apache-2.0
// softmax(Q K^T / sqrt(w)) V for one head of one sample, in blocks of 64 queries or keys, with its gradient.
// q, k, v lie beside each other in the rows of one matrix (T, 3 D): head h is columns [h w, (h + 1) w) of each third.
#pragma once

#include <cstdint>

#include "model/block_product.h"

namespace pathline::model {

struct HeadSize {
  std::int64_t tokens, width;  // T, w; w is even for bf16
  std::int64_t stride;         // between rows of q, k, v: 3 D
  std::int64_t distance;       // between q, k and v in a row, and between rows of out: D
};

/// out (T, w): rows D apart. peak and share (T) are what backward needs of the softmax. E is float or c10::BFloat16.
template <class E>
void attention_forward(HeadSize size, const E* q, E* out, float* peak, float* share, Arena& arena);

/// From d, the gradient of out (rows D apart): dq, dk and dv, laid out as q, k, v; and their sums over tokens added to
/// `sums` (w each, D apart).
template <class E>
void attention_backward(HeadSize size, const E* d, const E* q, const E* out, const float* peak, const float* share,
                        E* dq, float* sums, Arena& arena);

}  // namespace pathline::model

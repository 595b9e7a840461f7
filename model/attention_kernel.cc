// SPDX-License-Identifier: Apache-2.0
// With P = softmax(scale Q K^T): O = P V, dV = P^T dO, dP = dO V^T, dS = scale P (dP - rowsum(dO O)), dQ = dS K,
// dK = dS^T Q. The backward pass works on blocks of rows of S^T = K Q^T, which are complete for dV and dK.
#include "model/attention_kernel.h"

#include <algorithm>
#include <cmath>

#include "model/block_product.h"
#include "model/fused_kernels.h"
#include "model/layout_kernels.h"
#include "model/softmax_kernels.h"

namespace pathline::model {
namespace {

using c10::BFloat16;

/// Rows (T, w) as the right-hand side with T columns: (w, T), in pairs for bf16 (a pair is a word of 32 bits).
void turned(HeadSize size, const float* from, std::int64_t stride, float* to) {
  transpose<float, float>({size.tokens, size.width}, from, stride, to, size.tokens);
}
void turned(HeadSize size, const BFloat16* from, std::int64_t stride, BFloat16* to) {
  transpose<float, float>({size.tokens, size.width / 2}, reinterpret_cast<const float*>(from), stride / 2,
                          reinterpret_cast<float*>(to), size.tokens);
}

/// Rows (T, w) as the right-hand side with w columns, rows `stride` apart. fp32 needs no copy.
template <class E>
struct Straight {
  const E* data;
  std::int64_t stride;
};
Straight<float> straight(HeadSize, const float* from, std::int64_t stride, Arena&) { return {from, stride}; }
Straight<BFloat16> straight(HeadSize size, const BFloat16* from, std::int64_t stride, Arena& arena) {
  BFloat16* to = arena.take<BFloat16>(terms<BFloat16>(size.tokens) * size.width);
  interleave({size.tokens, size.width}, from, stride, to);
  return {to, size.width};
}

float scale_of(HeadSize size) { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(size.width))); }

}  // namespace

template <class E>
void attention_forward(HeadSize size, const E* q, E* out, float* peak, float* share, Arena& arena) {
  const std::int64_t t = size.tokens, w = size.width, padded = terms<E>(t), block = std::min(kBlockRows, t);
  const E *k = q + size.distance, *v = k + size.distance;
  E* keys = arena.take<E>(w * t);
  turned(size, k, size.stride, keys);
  const auto values = straight(size, v, size.stride, arena);
  float *scores = arena.take<float>(block * t), *mixed = arena.take<float>(block * w);
  E* shares = arena.take<E>(block * padded);
  for (std::int64_t row = 0; row < t; row += block) {
    const std::int64_t rows = std::min(block, t - row);
    block_product({rows, t, w, size.stride, t, t}, q + row * size.stride, keys, scores);
    softmax_rows<E>({rows, t}, scores, scale_of(size), shares, padded, peak + row, share + row);
    block_product({rows, w, padded, padded, values.stride, w}, shares, values.data, mixed);
    write_rows<E>({rows, w}, mixed, nullptr, out + row * size.distance, size.distance);
  }
}

template <class E>
void attention_backward(HeadSize size, const E* d, const E* q, const E* out, const float* peak, const float* share,
                        E* dq, float* sums, Arena& arena) {
  const std::int64_t t = size.tokens, w = size.width, padded = terms<E>(t), block = std::min(kBlockRows, t);
  const E *k = q + size.distance, *v = k + size.distance;
  E *dk = dq + size.distance, *dv = dk + size.distance;
  E *queries_turned = arena.take<E>(w * t), *d_turned = arena.take<E>(w * t);
  turned(size, q, size.stride, queries_turned);
  turned(size, d, size.distance, d_turned);
  const auto queries = straight(size, q, size.stride, arena), gradients = straight(size, d, size.distance, arena);
  const auto keys = straight(size, k, size.stride, arena);
  float* delta = arena.take<float>(t);
  row_products<E>({t, w}, d, out, size.distance, delta);

  const std::int64_t deep = terms<E>(block);
  float *scores = arena.take<float>(block * t), *tile = arena.take<float>(block * w);
  float* queries_d = arena.take<float>(t * w);
  E *p = arena.take<E>(block * padded), *ds = arena.take<E>(block * padded), *ds_turned = arena.take<E>(t * deep);
  for (std::int64_t row = 0; row < t; row += block) {
    const std::int64_t rows = std::min(block, t - row), inner = terms<E>(rows);
    block_product({rows, t, w, size.stride, t, t}, k + row * size.stride, queries_turned, scores);
    softmax_again<E>({rows, t}, scores, scale_of(size), peak, share, p, padded);
    block_product({rows, w, padded, padded, gradients.stride, w}, p, gradients.data, tile);
    write_rows<E>({rows, w}, tile, nullptr, dv + row * size.stride, size.stride, sums + 2 * size.distance);

    block_product({rows, t, w, size.stride, t, t}, v + row * size.stride, d_turned, scores);
    softmax_backward<E>({rows, t}, p, delta, scale_of(size), scores, ds, padded);
    block_product({rows, w, padded, padded, queries.stride, w}, ds, queries.data, tile);
    write_rows<E>({rows, w}, tile, nullptr, dk + row * size.stride, size.stride, sums + size.distance);

    if (inner > rows) {
      for (std::int64_t i = 0; i < t; ++i) ds_turned[i * deep + rows] = 0.0f;
    }
    transpose<float, E>({rows, t}, scores, t, ds_turned, deep);
    block_product({t, w, inner, deep, keys.stride, w}, ds_turned, keys.data + row * keys.stride, queries_d, row > 0);
  }
  write_rows<E>({t, w}, queries_d, nullptr, dq, size.stride, sums);
}

template void attention_forward(HeadSize, const float*, float*, float*, float*, Arena&);
template void attention_forward(HeadSize, const BFloat16*, BFloat16*, float*, float*, Arena&);
template void attention_backward(HeadSize, const float*, const float*, const float*, const float*, const float*, float*,
                                 float*, Arena&);
template void attention_backward(HeadSize, const BFloat16*, const BFloat16*, const BFloat16*, const float*,
                                 const float*, BFloat16*, float*, Arena&);

}  // namespace pathline::model

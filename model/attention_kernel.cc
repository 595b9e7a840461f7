// SPDX-License-Identifier: Apache-2.0
// With P = softmax(scale Q K^T): O = P V, dV = P^T dO, dP = dO V^T, dS = scale P (dP - rowsum(dO O)), dQ = dS K,
// dK = dS^T Q. The backward pass works on blocks of rows of S^T = K Q^T, which are complete for dV and dK.
#include "model/attention_kernel.h"

#include <algorithm>
#include <cmath>

#include "model/block_product.h"
#include "model/fused_kernels.h"

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

/// Rows (T, w) as the right-hand side with w columns. fp32 needs no copy.
struct Straight {
  const float* data;
  std::int64_t stride;
};
struct StraightPairs {
  Workspace<BFloat16> memory;
  const BFloat16* data;
  std::int64_t stride;
};
Straight straight(HeadSize, const float* from, std::int64_t stride) { return {from, stride}; }
StraightPairs straight(HeadSize size, const BFloat16* from, std::int64_t stride) {
  auto memory = workspace<BFloat16>((size.tokens + 1) * size.width);
  interleave({size.tokens, size.width}, from, stride, memory.get());
  const BFloat16* data = memory.get();
  return {std::move(memory), data, size.width};
}

template <class E>
constexpr bool kPairs = std::is_same_v<E, BFloat16>;

/// A sum over `count` terms has an even number of them in bf16.
template <class E>
std::int64_t terms(std::int64_t count) {
  return kPairs<E> ? count + count % 2 : count;
}

float scale_of(HeadSize size) { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(size.width))); }

}  // namespace

template <class E>
void attention_forward(HeadSize size, const E* q, E* out, float* peak, float* share) {
  const std::int64_t t = size.tokens, w = size.width, padded = terms<E>(t), block = std::min(kBlockRows, t);
  const E *k = q + size.distance, *v = k + size.distance;
  const auto keys = workspace<E>(w * t);
  turned(size, k, size.stride, keys.get());
  const auto values = straight(size, v, size.stride);
  const auto scores = workspace<float>(block * t), mixed = workspace<float>(block * w);
  const auto shares = workspace<E>(block * padded);
  for (std::int64_t row = 0; row < t; row += block) {
    const std::int64_t rows = std::min(block, t - row);
    block_product({rows, t, w, size.stride, t, t}, q + row * size.stride, keys.get(), scores.get());
    softmax_rows<E>({rows, t}, scores.get(), scale_of(size), shares.get(), padded, peak + row, share + row);
    block_product({rows, w, padded, padded, values.stride, w}, shares.get(), values.data, mixed.get());
    write_rows<E>({rows, w}, mixed.get(), nullptr, out + row * size.distance, size.distance);
  }
}

template <class E>
void attention_backward(HeadSize size, const E* d, const E* q, const E* out, const float* peak, const float* share,
                        E* dq, float* sums) {
  const std::int64_t t = size.tokens, w = size.width, padded = terms<E>(t), block = std::min(kBlockRows, t);
  const E *k = q + size.distance, *v = k + size.distance;
  E *dk = dq + size.distance, *dv = dk + size.distance;
  const auto queries_turned = workspace<E>(w * t), d_turned = workspace<E>(w * t);
  turned(size, q, size.stride, queries_turned.get());
  turned(size, d, size.distance, d_turned.get());
  const auto queries = straight(size, q, size.stride), gradients = straight(size, d, size.distance);
  const auto keys = straight(size, k, size.stride);
  const auto delta = workspace<float>(t);
  row_products<E>({t, w}, d, out, size.distance, delta.get());

  const std::int64_t deep = terms<E>(block);
  const auto scores = workspace<float>(block * t), tile = workspace<float>(block * w), queries_d = workspace<float>(t * w);
  const auto p = workspace<E>(block * padded), ds = workspace<E>(block * padded), ds_turned = workspace<E>(t * deep);
  for (std::int64_t row = 0; row < t; row += block) {
    const std::int64_t rows = std::min(block, t - row), inner = terms<E>(rows);
    block_product({rows, t, w, size.stride, t, t}, k + row * size.stride, queries_turned.get(), scores.get());
    softmax_again<E>({rows, t}, scores.get(), scale_of(size), peak, share, p.get(), padded);
    block_product({rows, w, padded, padded, gradients.stride, w}, p.get(), gradients.data, tile.get());
    write_rows<E>({rows, w}, tile.get(), nullptr, dv + row * size.stride, size.stride, sums + 2 * size.distance);

    block_product({rows, t, w, size.stride, t, t}, v + row * size.stride, d_turned.get(), scores.get());
    softmax_backward<E>({rows, t}, p.get(), delta.get(), scale_of(size), scores.get(), ds.get(), padded);
    block_product({rows, w, padded, padded, queries.stride, w}, ds.get(), queries.data, tile.get());
    write_rows<E>({rows, w}, tile.get(), nullptr, dk + row * size.stride, size.stride, sums + size.distance);

    if (inner > rows) {
      for (std::int64_t i = 0; i < t; ++i) ds_turned[i * deep + rows] = 0.0f;
    }
    transpose<float, E>({rows, t}, scores.get(), t, ds_turned.get(), deep);
    block_product({t, w, inner, deep, keys.stride, w}, ds_turned.get(), keys.data + row * keys.stride, queries_d.get(),
                  row > 0);
  }
  write_rows<E>({t, w}, queries_d.get(), nullptr, dq, size.stride, sums);
}

template void attention_forward(HeadSize, const float*, float*, float*, float*);
template void attention_forward(HeadSize, const BFloat16*, BFloat16*, float*, float*);
template void attention_backward(HeadSize, const float*, const float*, const float*, const float*, const float*, float*,
                                 float*);
template void attention_backward(HeadSize, const BFloat16*, const BFloat16*, const BFloat16*, const float*,
                                 const float*, BFloat16*, float*);

}  // namespace pathline::model

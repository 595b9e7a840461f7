// SPDX-License-Identifier: Apache-2.0
// Activations (N, T, D) cut into chunks of at most 64 tokens of one sample, and sums over them in one fixed order.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/util/BFloat16.h>

#include <algorithm>

#include "model/block_product.h"
#include "model/fused_kernels.h"

namespace pathline::model {

/// Calls `body` with a number of x's type, float or BFloat16.
template <class Body>
auto by_type(const at::Tensor& x, const Body& body) {
  return x.scalar_type() == at::kFloat ? body(float{}) : body(c10::BFloat16{});
}

struct Chunk {
  std::int64_t sample, first, rows;
  std::int64_t place;  // of the first row where every sample has Chunks::padded rows
};

struct Chunks {
  explicit Chunks(const at::Tensor& x)
      : samples(x.size(0)),
        tokens(x.size(1)),
        width(x.size(2)),
        per_sample((tokens + kBlockRows - 1) / kBlockRows),
        padded(x.scalar_type() == at::kBFloat16 ? terms<c10::BFloat16>(tokens) : tokens) {}

  std::int64_t count() const { return samples * per_sample; }
  /// Terms of a sum over all tokens.
  std::int64_t depth() const { return samples * padded; }
  Chunk operator[](std::int64_t index) const {
    const std::int64_t sample = index / per_sample, row = index % per_sample * kBlockRows;
    return {sample, sample * tokens + row, std::min(kBlockRows, tokens - row), sample * padded + row};
  }

  std::int64_t samples, tokens, width, per_sample, padded;
};

/// Sums over the rows of every chunk: (chunks, width) fp32.
class ChunkSums {
 public:
  ChunkSums(const Chunks& chunks, std::int64_t width)
      : chunks_(chunks),
        width_(width),
        memory_(at::empty({chunks.count(), width}, at::kFloat)),
        data_(memory_.mutable_data_ptr<float>()) {}

  float* at(std::int64_t chunk, std::int64_t column) { return data_ + chunk * width_ + column; }

  /// Columns [column, column + width) per sample: (N, width), of the type of `like`.
  template <class E>
  at::Tensor per_sample(std::int64_t column, std::int64_t width, const at::Tensor& like) {
    at::Tensor result = at::empty({chunks_.samples, width}, like.options());
    for (std::int64_t n = 0; n < chunks_.samples; ++n) {
      sum_rows<E>({chunks_.per_sample, width}, at(n * chunks_.per_sample, column), width_,
                  result.mutable_data_ptr<E>() + n * width);
    }
    return result;
  }
  /// The same over all samples: (width).
  template <class E>
  at::Tensor over_all(std::int64_t column, std::int64_t width, const at::Tensor& like) {
    at::Tensor result = at::empty({width}, like.options());
    sum_rows<E>({chunks_.count(), width}, at(0, column), width_, result.mutable_data_ptr<E>());
    return result;
  }

 private:
  Chunks chunks_;
  std::int64_t width_;
  at::Tensor memory_;
  float* data_;
};

/// Row `i` of a matrix whose rows are contiguous in themselves.
template <class E>
const E* row(const at::Tensor& x, std::int64_t i) {
  return x.const_data_ptr<E>() + i * x.stride(0);
}

/// The numbers of token `i` of x (..., width), contiguous.
template <class E>
const E* token(const at::Tensor& x, std::int64_t i) {
  return x.const_data_ptr<E>() + i * x.size(-1);
}
template <class E>
E* new_token(const at::Tensor& x, std::int64_t i) {
  return x.mutable_data_ptr<E>() + i * x.size(-1);
}

}  // namespace pathline::model

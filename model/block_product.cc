// SPDX-License-Identifier: Apache-2.0
#include "model/block_product.h"

#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "model/fused_kernels.h"
#include "model/layout_kernels.h"

namespace pathline::model {
namespace {

using c10::BFloat16;

constexpr std::int64_t kInner = 1024;  // terms of a sum in one go: a block's operands stay in the second-level cache

/// Numbers between columns of a right-hand side.
template <class E>
constexpr std::int64_t kColumn = std::is_same_v<E, BFloat16> ? 2 : 1;

template <class E>
void product(ProductSize size, const E* a, const E* b, float* c, bool add) {
  for (std::int64_t k = 0; k < size.k; k += kInner) {
    at::native::cpublas::brgemm(size.m, size.n, std::min(kInner, size.k - k), size.lda, size.ldb, size.ldc,
                                add || k > 0, a + k, b + k * size.ldb, c, std::is_same_v<E, BFloat16>);
  }
}

bool multiplies_bf16() {
  try {
    const BFloat16 one[4] = {1.0f, 1.0f, 1.0f, 1.0f};
    float sum = 0.0f;
    at::native::cpublas::brgemm(1, 1, 2, 2, 1, 1, false, one, one, &sum, true);
    at::native::cpublas::brgemm_release(true);
    return sum == 2.0f;
  } catch (const c10::Error&) {  // this processor or build has no such kernel
    return false;
  }
}

std::int64_t blocks(std::int64_t count, std::int64_t size) { return (count + size - 1) / size; }

}  // namespace

bool has_block_products(at::ScalarType type) {
  static const bool bf16 = multiplies_bf16();
  return type == at::kFloat || (type == at::kBFloat16 && bf16);
}

void* Arena::take_bytes(std::int64_t bytes) {
  if (next_ == pieces_.size()) pieces_.push_back({nullptr, 0});
  Piece& piece = pieces_[next_++];
  if (piece.bytes < bytes) {
    piece.memory.reset(::operator new(static_cast<std::size_t>(bytes), std::align_val_t(64)));
    piece.bytes = bytes;
  }
  return piece.memory.get();
}

void each_task(std::int64_t count, const std::function<void(std::int64_t, Arena&)>& body) {
  at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
    Arena arena;
    for (std::int64_t task = begin; task < end; ++task) {
      arena.clear();
      body(task, arena);
    }
    at::native::cpublas::brgemm_release();
  });
}

void block_product(ProductSize size, const float* a, const float* b, float* c, bool add) {
  product(size, a, b, c, add);
}
void block_product(ProductSize size, const BFloat16* a, const BFloat16* b, float* c, bool add) {
  product(size, a, b, c, add);
}

// A pair (2 j, 2 j + 1) of bf16 numbers in a row is one word of 32 bits: (out, in / 2) words become (in / 2, out).
template <class E>
RightHandSide<E> RightHandSide<E>::transposed(const at::Tensor& weight) {
  const std::int64_t out = weight.size(0), in = weight.size(1), words = in / kColumn<E>;
  at::Tensor memory = at::empty({in, out}, weight.options());
  const auto* from = reinterpret_cast<const float*>(weight.const_data_ptr<E>());
  auto* to = reinterpret_cast<float*>(memory.mutable_data_ptr<E>());
  each_task(blocks(out, kBlockRows), [&](std::int64_t block, Arena&) {
    const std::int64_t row = block * kBlockRows, first = row - row % kColumns;
    const std::int64_t columns = std::min(kColumns, out - first);
    transpose<float, float>({std::min(kBlockRows, out - row), words}, from + row * words, words,
                            to + first * words + row - first, columns);
  });
  return {memory, in, out, kColumns};
}

template <>
RightHandSide<float> RightHandSide<float>::as_is(const at::Tensor& weight) {
  return {weight, weight.size(0), weight.size(1), weight.size(1)};
}

template <>
RightHandSide<BFloat16> RightHandSide<BFloat16>::as_is(const at::Tensor& weight) {
  const std::int64_t out = weight.size(0), in = weight.size(1);
  at::Tensor memory = at::empty({out, in}, weight.options());
  const BFloat16* from = weight.const_data_ptr<BFloat16>();
  BFloat16* to = memory.mutable_data_ptr<BFloat16>();
  each_task(blocks(out, kBlockRows), [&](std::int64_t block, Arena&) {
    const std::int64_t row = block * kBlockRows, rows = std::min(kBlockRows, out - row);
    for (std::int64_t first = 0; first < in; first += kColumns) {
      const std::int64_t columns = std::min(kColumns, in - first);
      interleave({rows, columns}, from + row * in + first, in, to + first * out + row * columns);
    }
  });
  return {memory, out, in, kColumns};
}

template <class E>
void RightHandSide<E>::multiply(std::int64_t rows, const E* a, std::int64_t first, std::int64_t columns,
                                float* c) const {
  const E* b = memory_.const_data_ptr<E>();
  for (std::int64_t done = 0; done < columns;) {
    const std::int64_t column = first + done, panel = column - column % panel_, stride = std::min(panel_, n_ - panel);
    const std::int64_t width = std::min(columns - done, panel + stride - column);
    block_product({rows, width, k_, k_, stride, columns}, a, b + panel * k_ + (column - panel) * kColumn<E>, c + done);
    done += width;
  }
}
template class RightHandSide<float>;
template class RightHandSide<BFloat16>;

template <class E>
at::Tensor long_product(const at::Tensor& left, const at::Tensor& right, bool turned) {
  const std::int64_t height = left.size(0), depth = left.size(1), width = right.size(1);
  at::Tensor result = turned ? at::empty({width, height}, left.options()) : at::empty({height, width}, left.options());
  const E *a = left.const_data_ptr<E>(), *b = right.const_data_ptr<E>();
  E* to = result.mutable_data_ptr<E>();
  const std::int64_t down = blocks(height, kBlockRows);
  each_task(down * blocks(width, kColumns), [&](std::int64_t task, Arena& arena) {
    const std::int64_t row = task % down * kBlockRows, column = task / down * kColumns;
    const std::int64_t rows = std::min(kBlockRows, height - row), columns = std::min(kColumns, width - column);
    float* tile = arena.take<float>(rows * columns);
    block_product({rows, columns, depth, depth, width, columns}, a + row * depth, b + column * kColumn<E>, tile);
    if (turned) {
      transpose<float, E>({rows, columns}, tile, columns, to + column * height + row, height);
    } else {
      write_rows<E>({rows, columns}, tile, nullptr, to + row * width + column, width);
    }
  });
  return result;
}
template at::Tensor long_product<float>(const at::Tensor&, const at::Tensor&, bool);
template at::Tensor long_product<BFloat16>(const at::Tensor&, const at::Tensor&, bool);

}  // namespace pathline::model

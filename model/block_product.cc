// SPDX-License-Identifier: Apache-2.0
#include "model/block_product.h"

#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "model/fused_kernels.h"

namespace pathline::model {
namespace {

using c10::BFloat16;

constexpr std::int64_t kInner = 1024;  // terms of a sum in one go: a block's operands stay in the second-level cache
constexpr std::int64_t kTileColumns = 256;

/// Distance between columns of a right-hand side.
template <class E>
constexpr std::int64_t kColumn = std::is_same_v<E, BFloat16> ? 2 : 1;

template <class E>
void product(ProductSize size, const E* a, const E* b, float* c, bool add) {
  for (std::int64_t k = 0; k < size.k; k += kInner) {
    at::native::cpublas::brgemm(size.m, size.n, std::min(kInner, size.k - k), size.lda, size.ldb, size.ldc, add || k > 0,
                                a + k, b + k * size.ldb, c, std::is_same_v<E, BFloat16>);
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

std::int64_t even(std::int64_t count) { return count + count % 2; }

/// Rows [begin, end) of `in` as part of a right-hand side; begin is even.
void lay_out(std::int64_t begin, std::int64_t end, std::int64_t width, const BFloat16* in, BFloat16* out) {
  interleave({end - begin, width}, in + begin * width, width, out + begin * width);
}

template <class E>
at::Tensor gradient_of_weight(const at::Tensor& dy, const at::Tensor& x) {
  const std::int64_t m = dy.size(0), out = dy.size(1), in = x.size(1);
  const bool x_turns = in < out;  // the narrower operand is transposed: the other one is longer
  const at::Tensor &turned = x_turns ? x : dy, &straight = x_turns ? dy : x;
  const std::int64_t height = turned.size(1), width = straight.size(1), depth = even(m);

  constexpr bool kPairs = std::is_same_v<E, BFloat16>;
  const auto left = workspace<E>(height * depth);
  const auto right = workspace<E>(kPairs ? width * depth : 0);
  const E *from_turned = turned.const_data_ptr<E>(), *from_straight = straight.const_data_ptr<E>();
  each_task((m + kBlockRows - 1) / kBlockRows, [&](std::int64_t block) {
    const std::int64_t begin = block * kBlockRows, rows = std::min(kBlockRows, m - begin);
    transpose<E, E>({rows, height}, from_turned + begin * height, height, left.get() + begin, depth);
    if constexpr (kPairs) lay_out(begin, begin + rows, width, from_straight, right.get());
  });
  if (depth > m) {
    for (std::int64_t i = 0; i < height; ++i) left[i * depth + m] = 0.0f;
  }
  const E* rhs = kPairs ? right.get() : from_straight;

  at::Tensor gradient = at::empty({out, in}, dy.options());
  E* result = gradient.mutable_data_ptr<E>();
  const std::int64_t across = (width + kTileColumns - 1) / kTileColumns, down = (height + kBlockRows - 1) / kBlockRows;
  each_task(across * down, [&](std::int64_t task) {
    const std::int64_t row = task % down * kBlockRows, column = task / down * kTileColumns;
    const std::int64_t rows = std::min(kBlockRows, height - row), columns = std::min(kTileColumns, width - column);
    const auto tile = workspace<float>(rows * columns);
    block_product({rows, columns, kPairs ? depth : m, depth, width, columns}, left.get() + row * depth,
                  rhs + column * kColumn<E>, tile.get());
    if (x_turns) {
      transpose<float, E>({rows, columns}, tile.get(), columns, result + column * in + row, in);
    } else {
      write_rows<E>({rows, columns}, tile.get(), nullptr, result + row * in + column, in);
    }
  });
  return gradient;
}

}  // namespace

bool has_block_products(at::ScalarType type) {
  static const bool bf16 = multiplies_bf16();
  return type == at::kFloat || (type == at::kBFloat16 && bf16);
}

void each_task(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) body(task);
    at::native::cpublas::brgemm_release();
  });
}

void block_product(ProductSize size, const float* a, const float* b, float* c, bool add) { product(size, a, b, c, add); }
void block_product(ProductSize size, const BFloat16* a, const BFloat16* b, float* c, bool add) {
  product(size, a, b, c, add);
}

template <>
RightHandSide<float> RightHandSide<float>::transposed(const at::Tensor& weight) {
  const std::int64_t out = weight.size(0), in = weight.size(1);
  at::Tensor memory = at::empty({in, out}, weight.options());
  const float* from = weight.const_data_ptr<float>();
  float* to = memory.mutable_data_ptr<float>();
  each_task((out + kBlockRows - 1) / kBlockRows, [&](std::int64_t block) {
    const std::int64_t row = block * kBlockRows;
    transpose<float, float>({std::min(kBlockRows, out - row), in}, from + row * in, in, to + row, out);
  });
  return {memory, in, out};
}

// The pair (2 j, 2 j + 1) of a row is one word of 32 bits: (out, in / 2) words become (in / 2, out).
template <>
RightHandSide<BFloat16> RightHandSide<BFloat16>::transposed(const at::Tensor& weight) {
  const std::int64_t out = weight.size(0), words = weight.size(1) / 2;
  at::Tensor memory = at::empty({words, out, 2}, weight.options());
  const auto* from = reinterpret_cast<const float*>(weight.const_data_ptr<BFloat16>());
  auto* to = reinterpret_cast<float*>(memory.mutable_data_ptr<BFloat16>());
  each_task((out + kBlockRows - 1) / kBlockRows, [&](std::int64_t block) {
    const std::int64_t row = block * kBlockRows;
    transpose<float, float>({std::min(kBlockRows, out - row), words}, from + row * words, words, to + row, out);
  });
  return {memory, 2 * words, out};
}

template <>
RightHandSide<float> RightHandSide<float>::as_is(const at::Tensor& weight) {
  return {weight, weight.size(0), weight.size(1)};
}

template <>
RightHandSide<BFloat16> RightHandSide<BFloat16>::as_is(const at::Tensor& weight) {
  const std::int64_t out = weight.size(0), in = weight.size(1);
  at::Tensor memory = at::empty({out / 2, in, 2}, weight.options());
  const BFloat16* from = weight.const_data_ptr<BFloat16>();
  BFloat16* to = memory.mutable_data_ptr<BFloat16>();
  each_task((out + kBlockRows - 1) / kBlockRows, [&](std::int64_t block) {
    lay_out(block * kBlockRows, std::min(out, (block + 1) * kBlockRows), in, from, to);
  });
  return {memory, out, in};
}

template <class E>
void RightHandSide<E>::multiply(std::int64_t rows, const E* a, std::int64_t first, std::int64_t columns,
                                float* c) const {
  block_product({rows, columns, k_, k_, n_, columns}, a, memory_.const_data_ptr<E>() + first * kColumn<E>, c);
}
template class RightHandSide<float>;
template class RightHandSide<BFloat16>;

at::Tensor weight_gradient(const at::Tensor& dy, const at::Tensor& x) {
  return dy.scalar_type() == at::kFloat ? gradient_of_weight<float>(dy, x) : gradient_of_weight<BFloat16>(dy, x);
}

}  // namespace pathline::model

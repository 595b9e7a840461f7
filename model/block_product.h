// SPDX-License-Identifier: Apache-2.0
// Matrix products in pieces that stay in cache, so that what comes before and after one can be done there and then.
// E is float or c10::BFloat16; products are summed and delivered in fp32.
//
// Note [Why products in pieces]
// One library call for a whole product writes its result to memory and packs its operands anew. oneDNN's kernels for
// blocks of a product (at::native::cpublas::brgemm) are 10 to 20 % faster on 64 rows at a time (measured for widths of
// 64 to 1024 on one core of Zen 4), and bias, GELU, norm and their gradients then find the block in cache. Which thread
// computes a block changes nothing in it.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/BFloat16.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

namespace pathline::model {

/// Rows of one block.
constexpr std::int64_t kBlockRows = 64;
/// Columns of one block: the fp32 result stays in the second-level cache.
constexpr std::int64_t kColumns = 256;

/// Whether blocks of `type` can be multiplied on this machine.
bool has_block_products(at::ScalarType type);

/// A thread's working memory: taken piece by piece, on cache lines and without values; all is free again for the next
/// task.
class Arena {
 public:
  /// `count` numbers, valid until the task ends.
  template <class T>
  T* take(std::int64_t count) {
    return static_cast<T*>(take_bytes(count * static_cast<std::int64_t>(sizeof(T))));
  }
  void clear() { next_ = 0; }

 private:
  struct Free {
    void operator()(void* memory) const { ::operator delete(memory, std::align_val_t(64)); }
  };
  struct Piece {
    std::unique_ptr<void, Free> memory;
    std::int64_t bytes;
  };
  void* take_bytes(std::int64_t bytes);

  std::vector<Piece> pieces_;  // in the order in which a task takes them: the next one takes the same
  std::size_t next_ = 0;
};

/// body(task, arena) for all tasks in [0, count), shared among threads.
void each_task(std::int64_t count, const std::function<void(std::int64_t, Arena&)>& body);

/// A sum of products in bf16 has an even number of terms: `count`, or one more, which is zero.
template <class E>
constexpr std::int64_t terms(std::int64_t count) {
  return std::is_same_v<E, c10::BFloat16> ? count + count % 2 : count;
}

/// c (m, n) = a (m, k) b, or added to it. Rows are lda, ldb, ldc apart. b is (k, n) for float and (k / 2, n, 2) for
/// BFloat16, as interleave() makes it; k is even there.
struct ProductSize {
  std::int64_t m, n, k, lda, ldb, ldc;
};
void block_product(ProductSize size, const float* a, const float* b, float* c, bool add = false);
void block_product(ProductSize size, const c10::BFloat16* a, const c10::BFloat16* b, float* c, bool add = false);

/// A weight (out, in) as the right-hand side of products.
template <class E>
class RightHandSide {
 public:
  /// For x W^T: k = in, n = out.
  static RightHandSide transposed(const at::Tensor& weight);
  /// For dy W: k = out, n = in.
  static RightHandSide as_is(const at::Tensor& weight);

  /// c (rows, columns) = a (rows, k) times columns [first, first + columns); c is contiguous, `first` a multiple of
  /// kColumns.
  void multiply(std::int64_t rows, const E* a, std::int64_t first, std::int64_t columns, float* c) const;

 private:
  RightHandSide(at::Tensor memory, std::int64_t k, std::int64_t n, std::int64_t panel)
      : memory_(std::move(memory)), k_(k), n_(n), panel_(panel) {}

  at::Tensor memory_;  // panels of `panel_` columns (the last may have fewer), each (k, columns) contiguous
  std::int64_t k_, n_, panel_;
};

/// left (h, depth) right (depth, w), both laid out for the product (`right` as b above): (h, w), or (w, h) `turned`.
template <class E>
at::Tensor long_product(const at::Tensor& left, const at::Tensor& right, bool turned);

}  // namespace pathline::model

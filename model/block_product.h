// SPDX-License-Identifier: Apache-2.0
// Matrix products in pieces that stay in cache, so that what comes before and after one can be done there and then.
// E is float or c10::BFloat16; products are summed and delivered in fp32.
//
// Note [Why products in pieces]
// One library call for a whole product writes its result to memory and packs its operands anew. oneDNN's kernels for
// blocks of a product (at::native::cpublas::brgemm) on blocks of 64 rows are 10 to 20 % faster on the host (measured for
// widths of 64 to 1024, one core of Zen 4), and bias, GELU, norm and their gradients then find the block in cache. Which
// thread computes a block changes nothing in it.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/BFloat16.h>

#include <cstdint>
#include <functional>
#include <memory>

namespace pathline::model {

/// Rows of one block.
constexpr std::int64_t kBlockRows = 64;

/// Whether blocks of `type` can be multiplied on this machine.
bool has_block_products(at::ScalarType type);

/// body(task) for all tasks in [0, count), shared among threads.
void each_task(std::int64_t count, const std::function<void(std::int64_t)>& body);

/// A thread's working memory of `count` numbers, on a cache line, without values.
template <class T>
struct FreeLine {
  void operator()(T* memory) const { ::operator delete(memory, std::align_val_t(64)); }
};
template <class T>
using Workspace = std::unique_ptr<T[], FreeLine<T>>;
template <class T>
Workspace<T> workspace(std::int64_t count) {
  return Workspace<T>(static_cast<T*>(::operator new(static_cast<std::size_t>(count) * sizeof(T), std::align_val_t(64))));
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

  std::int64_t n() const { return n_; }

  /// c (rows, columns) = a (rows, k) times columns [first, first + columns); c is contiguous.
  void multiply(std::int64_t rows, const E* a, std::int64_t first, std::int64_t columns, float* c) const;

 private:
  RightHandSide(at::Tensor memory, std::int64_t k, std::int64_t n) : memory_(std::move(memory)), k_(k), n_(n) {}

  at::Tensor memory_;
  std::int64_t k_, n_;
};

/// dy^T x (out, in), a new tensor of their type; dy (M, out), x (M, in) contiguous.
at::Tensor weight_gradient(const at::Tensor& dy, const at::Tensor& x);

}  // namespace pathline::model

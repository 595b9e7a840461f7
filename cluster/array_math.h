// SPDX-License-Identifier: Apache-2.0
// Arithmetic of the reductions on flat fp32 arrays, in the memory where a rank's gradients lie: the host's, or a GPU's
// (cuda_array_math.cu). Every implementation gives the same bits.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "cluster/communicator.h"

namespace pathline::cluster {

/// Calls of one object take effect in order, together with those of the communicators that belong to it. A GPU's return
/// before the work is done: finish() waits. One thread at a time.
class ArrayMath {
 public:
  virtual ~ArrayMath() = default;

  using Memory = std::unique_ptr<std::byte[], std::function<void(std::byte*)>>;
  /// Uninitialised, on a 64-byte boundary; freed when it goes.
  virtual Memory allocate(std::size_t bytes) = 0;

  virtual void copy(std::span<const float> from, std::span<float> to) = 0;
  /// sum[i] = left[i] + right[i]; `sum` may be `left` or `right`, but not overlap them in part.
  virtual void add(std::span<const float> left, std::span<const float> right, std::span<float> sum) = 0;

  /// squares[b] = the sum of squares of block b of `values` (whole blocks of kBlock elements) in fp64 and one fixed
  /// order (block_norm.h). `squares` is host memory, filled once finish() has returned.
  virtual void sum_squares(std::span<const float> values, std::span<double> squares) = 0;
  /// add() and sum_squares() of the sum in one pass over memory.
  virtual void add_and_sum_squares(std::span<const float> left, std::span<const float> right, std::span<float> sum,
                                   std::span<double> squares) = 0;

  virtual void finish() = 0;
};

/// Memory that grows as it is asked for more and is used again and again. What it held is lost when it grows.
class Scratch {
 public:
  explicit Scratch(ArrayMath& math) : math_(math) {}
  std::span<float> at_least(std::size_t elements);
  std::size_t bytes() const { return bytes_; }

 private:
  ArrayMath& math_;
  ArrayMath::Memory memory_;
  std::size_t bytes_ = 0;
};

/// Host memory; every call is done when it returns. No state.
ArrayMath& host_array_math();

}  // namespace pathline::cluster

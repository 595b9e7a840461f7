// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <new>

#include "cluster/array_math.h"
#include "cluster/block_layout.h"
#include "cluster/block_norm.h"
#include "cluster/reduction.h"
#include "cluster/reduction_tree.h"

namespace pathline::cluster {
namespace {

constexpr std::align_val_t kAlignment{64};

class HostArrayMath final : public ArrayMath {
 public:
  Memory allocate(std::size_t bytes) override {
    auto* memory = static_cast<std::byte*>(::operator new[](bytes, kAlignment));
    return {memory, [](std::byte* pointer) { ::operator delete[](pointer, kAlignment); }};
  }
  void copy(std::span<const float> from, std::span<float> to) override {
    copy_bytes(std::as_bytes(from), std::as_writable_bytes(to));
  }
  void add(std::span<const float> left, std::span<const float> right, std::span<float> sum) override {
    cluster::add(left, right, sum);
  }
  void sum_squares(std::span<const float> values, std::span<double> squares) override {
    PL_ASSERT(values.size() == squares.size() * kBlock);
    for (std::size_t b = 0; b < squares.size(); ++b) squares[b] = sum_of_squares(values.subspan(b * kBlock, kBlock));
  }
  void add_and_sum_squares(std::span<const float> left, std::span<const float> right, std::span<float> sum,
                           std::span<double> squares) override {
    PL_ASSERT(sum.size() == squares.size() * kBlock);
    for (std::size_t b = 0; b < squares.size(); ++b) {
      const std::size_t at = b * kBlock;
      squares[b] =
          cluster::add_and_sum_squares(left.subspan(at, kBlock), right.subspan(at, kBlock), sum.subspan(at, kBlock));
    }
  }
  void finish() override {}
};

}  // namespace

std::span<float> Scratch::at_least(std::size_t elements) {
  const std::size_t bytes = elements * sizeof(float);
  if (bytes > bytes_) {
    math_.finish();  // whoever still uses the old memory
    memory_.reset();
    memory_ = math_.allocate(bytes);
    bytes_ = bytes;
  }
  return {reinterpret_cast<float*>(memory_.get()), elements};
}

ArrayMath& host_array_math() {
  static HostArrayMath math;
  return math;
}

}  // namespace pathline::cluster

// SPDX-License-Identifier: Apache-2.0
#include "trainer/gradient_kernels.h"

#include <ATen/Parallel.h>

#include <bit>
#include <cstring>

#include "core/every_isa.h"

namespace pathline::trainer {
namespace {

constexpr std::int64_t kGrain = 1 << 16;  // elements that are worth a thread

PATHLINE_EVERY_ISA
void add_fp32(std::size_t elements, const float* __restrict gradient, float* __restrict sum) {
  for (std::size_t i = 0; i < elements; ++i) sum[i] += gradient[i];
}

PATHLINE_EVERY_ISA
void add_bf16(std::size_t elements, const std::uint16_t* __restrict gradient, float* __restrict sum) {
  for (std::size_t i = 0; i < elements; ++i) {
    sum[i] += std::bit_cast<float>(static_cast<std::uint32_t>(gradient[i]) << 16);
  }
}

PATHLINE_EVERY_ISA
void widen_bf16(std::size_t elements, const std::uint16_t* __restrict gradient, float* __restrict sum) {
  for (std::size_t i = 0; i < elements; ++i) {
    sum[i] = std::bit_cast<float>(static_cast<std::uint32_t>(gradient[i]) << 16);
  }
}

template <class Body>
void in_parts(std::size_t elements, const Body& body) {
  at::parallel_for(0, static_cast<std::int64_t>(elements), kGrain, [&](std::int64_t begin, std::int64_t end) {
    body(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  });
}

}  // namespace

void take_fp32(std::size_t elements, const float* gradient, bool add, float* sum) {
  in_parts(elements, [&](std::size_t begin, std::size_t count) {
    if (add)
      add_fp32(count, gradient + begin, sum + begin);
    else
      std::memcpy(sum + begin, gradient + begin, count * sizeof(float));
  });
}

void take_bf16(std::size_t elements, const std::uint16_t* gradient, bool add, float* sum) {
  in_parts(elements, [&](std::size_t begin, std::size_t count) {
    if (add)
      add_bf16(count, gradient + begin, sum + begin);
    else
      widen_bf16(count, gradient + begin, sum + begin);
  });
}

}  // namespace pathline::trainer

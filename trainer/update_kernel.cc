// SPDX-License-Identifier: Apache-2.0
#include "trainer/update_kernel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/error.h"
#include "core/every_isa.h"

namespace pathline::trainer {
namespace {

constexpr std::size_t kChunk = 1024;  // 4 KiB an array: all arrays of a chunk stay in the first-level cache

PATHLINE_EVERY_ISA
void adamw(std::size_t elements, const AdamWStep& step, const float* __restrict gradient, float* __restrict parameter,
           float* __restrict moment1, float* __restrict moment2) {
  const AdamWStep s = step;
  const float kept = 1.0f - s.lr * s.weight_decay;
  const float step_size = s.lr / s.correction1;
  const float new1 = 1.0f - s.beta1, new2 = 1.0f - s.beta2;
  for (std::size_t i = 0; i < elements; ++i) {
    const float g = gradient[i] * s.gradient_scale;
    const float m = moment1[i] + new1 * (g - moment1[i]);
    const float v = s.beta2 * moment2[i] + new2 * (g * g);
    moment1[i] = m;
    moment2[i] = v;
    parameter[i] = parameter[i] * kept - step_size * (m / (std::sqrt(v) / s.root_correction2 + s.epsilon));
  }
}

PATHLINE_EVERY_ISA
void lion(std::size_t elements, const LionStep& step, const float* __restrict gradient, float* __restrict parameter,
          float* __restrict moment) {
  const LionStep s = step;
  const float kept = 1.0f - s.lr * s.weight_decay;
  const float new1 = 1.0f - s.beta1, new2 = 1.0f - s.beta2;
  for (std::size_t i = 0; i < elements; ++i) {
    const float g = gradient[i] * s.gradient_scale;
    const float direction = s.beta1 * moment[i] + new1 * g;
    const float sign = direction > 0.0f ? 1.0f : (direction < 0.0f ? -1.0f : direction);  // 0 and NaN stay
    moment[i] = s.beta2 * moment[i] + new2 * g;
    parameter[i] = parameter[i] * kept - s.lr * sign;
  }
}

PATHLINE_EVERY_ISA
void average_towards(std::size_t elements, float one_minus_decay, const float* __restrict parameter,
                     float* __restrict average) {
  for (std::size_t i = 0; i < elements; ++i) average[i] += one_minus_decay * (parameter[i] - average[i]);
}

/// To nearest, ties to even; NaN becomes 0x7fc0, as c10::BFloat16 has it.
PATHLINE_EVERY_ISA
void round_to_bf16(std::size_t elements, const float* __restrict values, std::uint16_t* __restrict rounded) {
  for (std::size_t i = 0; i < elements; ++i) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(values[i]);
    const std::uint32_t up = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    rounded[i] = static_cast<std::uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : up);
  }
}

void finish(const ShardArrays& shard, std::size_t begin, std::size_t count) {
  for (const auto& average : shard.averages) {
    average_towards(count, average.one_minus_decay, shard.master + begin, average.average + begin);
  }
  if (shard.bf16_parameter != nullptr) round_to_bf16(count, shard.master + begin, shard.bf16_parameter + begin);
}

/// Calls rule(begin, count) and finishes, chunk by chunk, on the rank's threads.
template <typename Rule>
void in_chunks(const ShardArrays& shard, const Rule& rule) {
  constexpr std::int64_t kChunksOfAThread = 16;
  const auto chunks = static_cast<std::int64_t>((shard.elements + kChunk - 1) / kChunk);
  at::parallel_for(0, chunks, kChunksOfAThread, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t chunk = first; chunk < last; ++chunk) {
      const std::size_t begin = static_cast<std::size_t>(chunk) * kChunk;
      const std::size_t count = std::min(kChunk, shard.elements - begin);
      rule(begin, count);
      finish(shard, begin, count);
    }
  });
}

}  // namespace

void update_adamw(const AdamWStep& step, const ShardArrays& shard) {
  PL_ASSERT(shard.moments.size() == 2);
  in_chunks(shard, [&](std::size_t begin, std::size_t count) {
    adamw(count, step, shard.gradient + begin, shard.master + begin, shard.moments[0] + begin,
          shard.moments[1] + begin);
  });
}

void update_lion(const LionStep& step, const ShardArrays& shard) {
  PL_ASSERT(shard.moments.size() == 1);
  in_chunks(shard, [&](std::size_t begin, std::size_t count) {
    lion(count, step, shard.gradient + begin, shard.master + begin, shard.moments[0] + begin);
  });
}

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
#include "trainer/update_kernel.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace pathline::trainer {
namespace {

// One source for every instruction set, chosen at load time. No contraction anywhere (-ffp-contract=off), so all of them
// give the same bits.
#define PATHLINE_VECTOR_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3", "no-math-errno")))

constexpr std::size_t kChunk = 4096;  // 16 KiB an array: a chunk's averages find its parameters in the first-level cache
constexpr std::size_t kLanes = 16;

PATHLINE_VECTOR_CLONES
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

PATHLINE_VECTOR_CLONES
void average_towards(std::size_t elements, float one_minus_decay, const float* __restrict parameter,
                     float* __restrict average) {
  for (std::size_t i = 0; i < elements; ++i) average[i] += one_minus_decay * (parameter[i] - average[i]);
}

PATHLINE_VECTOR_CLONES
void add_squares(std::size_t rows, const float* __restrict values, double* __restrict sums) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double value = values[r * kLanes + lane];
      sums[lane] += value * value;
    }
  }
}

}  // namespace

void update_shard(std::size_t elements, const AdamWStep& step, const float* gradient, float* parameter, float* moment1,
                  float* moment2, const std::vector<AverageStep>& averages) {
  for (std::size_t begin = 0; begin < elements; begin += kChunk) {
    const std::size_t count = std::min(kChunk, elements - begin);
    adamw(count, step, gradient + begin, parameter + begin, moment1 + begin, moment2 + begin);
    for (const auto& average : averages) {
      average_towards(count, average.one_minus_decay, parameter + begin, average.average + begin);
    }
  }
}

double sum_of_squares(std::span<const float> block) {
  std::array<double, kLanes> sums{};
  const std::size_t rows = block.size() / kLanes;
  add_squares(rows, block.data(), sums.data());
  for (std::size_t i = rows * kLanes; i < block.size(); ++i) {
    sums[i % kLanes] += static_cast<double>(block[i]) * static_cast<double>(block[i]);
  }
  for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
    for (std::size_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
  }
  return sums[0];
}

}  // namespace pathline::trainer

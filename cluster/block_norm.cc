// SPDX-License-Identifier: Apache-2.0
#include "cluster/block_norm.h"

#include <array>
#include <cstddef>

#include "core/error.h"
#include "core/every_isa.h"

namespace pathline::cluster {
namespace {

constexpr std::size_t kLanes = 16;
using Lanes = std::array<double, kLanes>;

PATHLINE_EVERY_ISA
void add_squares(std::size_t rows, const float* values, double* __restrict sums) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double value = values[r * kLanes + lane];
      sums[lane] += value * value;
    }
  }
}

PATHLINE_EVERY_ISA
void add_rows(std::size_t rows, const float* left, const float* right, float* sum, double* __restrict sums) {
  for (std::size_t r = 0; r < rows; ++r) {
    float row[kLanes];  // read whole before anything is written: `sum` may be `left` or `right`
    for (std::size_t lane = 0; lane < kLanes; ++lane) row[lane] = left[r * kLanes + lane] + right[r * kLanes + lane];
    for (std::size_t lane = 0; lane < kLanes; ++lane) sum[r * kLanes + lane] = row[lane];
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double value = row[lane];
      sums[lane] += value * value;
    }
  }
}

double added_pairwise(Lanes& sums) {
  for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
    for (std::size_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
  }
  return sums[0];
}

}  // namespace

double sum_of_squares(std::span<const float> block) {
  PL_ASSERT(block.size() % kLanes == 0);
  Lanes sums{};
  add_squares(block.size() / kLanes, block.data(), sums.data());
  return added_pairwise(sums);
}

double add_and_sum_squares(std::span<const float> left, std::span<const float> right, std::span<float> sum) {
  PL_ASSERT(left.size() == sum.size() && right.size() == sum.size() && sum.size() % kLanes == 0);
  Lanes sums{};
  add_rows(sum.size() / kLanes, left.data(), right.data(), sum.data(), sums.data());
  return added_pairwise(sums);
}

}  // namespace pathline::cluster

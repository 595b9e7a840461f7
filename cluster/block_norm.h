// SPDX-License-Identifier: Apache-2.0
// The sum of squares of one block of a flat buffer in fp64, in one fixed order: 16 running sums over elements i mod 16,
// then added pairwise. Norms are made of these (docs/architecture.md, "Same bits").
#pragma once

#include <span>

namespace pathline::cluster {

double sum_of_squares(std::span<const float> block);

/// sum[i] = left[i] + right[i]; returns sum_of_squares(sum). `sum` may be `left` or `right`.
double add_and_sum_squares(std::span<const float> left, std::span<const float> right, std::span<float> sum);

}  // namespace pathline::cluster

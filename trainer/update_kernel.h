// SPDX-License-Identifier: Apache-2.0
// What happens to each element of a shard in an optimizer step, in one pass over memory: unscale and clip, the
// optimizer's rule, every average, the parameter rounded to bf16. Element by element, so that the bits depend neither on
// vector width nor on threads nor on where a shard begins.
#pragma once

#include <span>

#include "trainer/update_step.h"

namespace pathline::trainer {

/// On the CPU, with the threads of at::parallel_for. AdamW has two moments, Lion one.
void update_adamw(const AdamWStep& step, const ShardArrays& shard);
void update_lion(const LionStep& step, const ShardArrays& shard);

/// The kernels of one device: those above, or a GPU's.
struct UpdateKernels {
  void (*adamw)(const AdamWStep&, const ShardArrays&);
  void (*lion)(const LionStep&, const ShardArrays&);
};
inline constexpr UpdateKernels kHostKernels{update_adamw, update_lion};

/// Sum of squares of one block (4,096 elements or fewer) in fp64: 16 running sums over elements i mod 16, then added
/// pairwise. Infinite or NaN where an element is.
double sum_of_squares(std::span<const float> block);

/// One block of the last level of the gradient tree, and its share of the norm while it is in the cache:
/// sum[i] = left[i] + right[i]; returns sum_of_squares(sum). `sum` may be `left` or `right`.
double add_and_square(std::span<const float> left, std::span<const float> right, std::span<float> sum);

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
// What happens to each element of a shard in an optimizer step, in one pass over memory: clip, AdamW with decoupled
// decay (Loshchilov and Hutter, arXiv 1711.05101; the order of operations of torch.optim.AdamW), averages.
// Element by element, so the bits depend neither on vector width nor on where a shard begins.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace pathline::trainer {

struct AdamWStep {
  float gradient_scale = 1.0f;   // clipping
  float lr = 0.0f;
  float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
  float weight_decay = 0.0f;
  float correction1 = 1.0f;      // 1 - beta1^n
  float root_correction2 = 1.0f; // sqrt(1 - beta2^n)
};

/// One average: average += (1 - decay) (parameter - average).
struct AverageStep {
  float* average = nullptr;
  float one_minus_decay = 0.0f;
};

/// All arrays have `elements` elements and do not overlap.
void update_shard(std::size_t elements, const AdamWStep& step, const float* gradient, float* parameter, float* moment1,
                  float* moment2, const std::vector<AverageStep>& averages);

/// Sum of squares of one block in fp64: 16 running sums over elements i mod 16, then added pairwise.
double sum_of_squares(std::span<const float> block);

}  // namespace pathline::trainer

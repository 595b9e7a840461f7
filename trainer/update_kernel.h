// SPDX-License-Identifier: Apache-2.0
// What happens to each element of a shard in an optimizer step, in one pass over memory: unscale and clip, the
// optimizer's rule, every average, the parameter rounded to bf16. Element by element, so that the bits depend neither
// on vector width nor on threads nor on where a shard begins.
#pragma once

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

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
// Pure functions of the step: learning rate and decay of the averages.
#pragma once

#include <cstdint>

#include "trainer/options.h"

namespace pathline::trainer {

/// Learning rate of optimizer step `step` (the first is 0): linear warm-up, then constant or cosine to 0 at
/// schedule_steps.
double lr_at(const OptimizerOptions& options, std::int64_t step);

/// Decay of an average at its n-th update (the first is 0): min(decay, (1 + n) / (10 + n)) with warm-up "ratio".
double ema_decay_at(double decay, const std::string& warmup, std::int64_t n);

}  // namespace pathline::trainer

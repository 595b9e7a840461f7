// SPDX-License-Identifier: Apache-2.0
#include "trainer/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace pathline::trainer {

double lr_at(const OptimizerOptions& options, std::int64_t step) {
  if (step < options.warmup_steps) {
    return options.lr * static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps);
  }
  if (options.schedule == "constant") return options.lr;
  const double span = static_cast<double>(std::max<std::int64_t>(1, options.schedule_steps - options.warmup_steps));
  const double done = std::min(1.0, static_cast<double>(step - options.warmup_steps) / span);
  return options.lr * 0.5 * (1.0 + std::cos(std::numbers::pi * done));
}

double ema_decay_at(double decay, const std::string& warmup, std::int64_t n) {
  if (warmup == "none") return decay;
  return std::min(decay, static_cast<double>(1 + n) / static_cast<double>(10 + n));
}

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
#include "sampler/step_control.h"

#include <algorithm>
#include <cmath>

namespace pathline::sampler {
namespace {
constexpr double kSafety = 0.9, kGrowth = 10.0, kShrink = 0.2;
constexpr double kStretch = 1.1;
constexpr double kSmallestShare = 1e-12;  // of |t1 - t0|
}  // namespace

double next_step(double dt, double ratio, int order) {
  if (ratio == 0) return dt * kGrowth;
  const double lowest = ratio < 1 ? 1.0 : kShrink;
  return dt * std::min(kGrowth, std::max(kSafety / std::pow(ratio, 1.0 / order), lowest));
}

double probe_step(double d0, double d1) { return d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1; }

double first_step(double h0, double d1, double d2, int order) {
  const double h1 = d1 <= 1e-15 && d2 <= 1e-15 ? std::max(1e-6, h0 * 1e-3)
                                               : std::pow(0.01 / std::max(d1, d2), 1.0 / order);
  return std::min(100 * h0, h1);
}

double step_end(double t, double dt, double t1) {
  return std::abs(t1 - t) <= kStretch * std::abs(dt) ? t1 : t + dt;
}

bool underflows(double dt, double t0, double t1) {
  return !(std::abs(dt) >= kSmallestShare * std::abs(t1 - t0));
}

}  // namespace pathline::sampler

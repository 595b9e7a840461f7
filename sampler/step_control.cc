// SPDX-License-Identifier: Apache-2.0
#include "sampler/step_control.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace pathline::sampler {
namespace {
constexpr double kSafety = 0.9, kGrowth = 10.0, kShrink = 0.2;
constexpr double kStretch = 1.02;
constexpr double kSmallestShare = 1e-12;  // of |t1 - t0|
constexpr double kSmallestRatio = 1e-10;  // of an error, for a controller that remembers it
// The error of half a step: less than 1/8 of the whole's for every method here, half of it where it is noise.
constexpr double kFloorExponent = 1.5, kFloorShortening = 0.5, kFloorShare = 0.02, kFloorSpread = 2.0;
}  // namespace

Controller Controller::parse(const std::string& name) {
  if (name == "i") return {};
  if (name == "pi") return {0.7, 0.2, 0.0};
  PL_CHECK(name == "pid", core::ExitCode::kUsage, "--controller ", name, " is not known. Use i, pi or pid.");
  return {0.58, 0.21, 0.1};
}

double next_step(double dt, double ratio, int order, const Controller& controller, const ErrorHistory& history) {
  if (!controller.remembers()) {
    if (ratio == 0) return dt * kGrowth;
    const double least = ratio < 1 ? 1.0 : kShrink;
    return dt * std::min(kGrowth, std::max(kSafety / std::pow(ratio, 1.0 / order), least));
  }
  const double k = order;
  const double factor = kSafety * std::pow(std::max(ratio, kSmallestRatio), -controller.now / k) *
                        std::pow(std::max(history.before, kSmallestRatio), controller.before / k) *
                        std::pow(std::max(history.earlier, kSmallestRatio), -controller.earlier / k);
  return dt * std::clamp(factor, kShrink, kGrowth);
}

double shorter_step(double dt, double ratio, int order) {
  return dt * std::max(kSafety / std::pow(ratio, 1.0 / order), kShrink);
}

double probe_step(double d0, double d1) { return d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1; }

double first_step(double h0, double d1, double d2, int order) {
  const double h1 =
      d1 <= 1e-15 && d2 <= 1e-15 ? std::max(1e-6, h0 * 1e-3) : std::pow(0.01 / std::max(d1, d2), 1.0 / order);
  return std::min(100 * h0, h1);
}

double step_end(double t, double dt, double t1) { return std::abs(t1 - t) <= kStretch * std::abs(dt) ? t1 : t + dt; }

bool underflows(double dt, double t0, double t1) { return !(std::abs(dt) >= kSmallestShare * std::abs(t1 - t0)); }

bool NoiseFloor::accepts(double dt, double ratio, double movement) {
  const double length = std::abs(dt);
  if (ratio > kFloorShare * length * movement) return false;
  if (error_slope_ > 0 && ratio <= kFloorSpread * error_slope_ * length) return true;
  if (longest_ == 0) {
    longest_ = length;
    its_ratio_ = ratio;
    return false;
  }
  const double shortening = length / longest_;
  if (shortening > kFloorShortening || ratio < its_ratio_ * std::pow(shortening, kFloorExponent)) return false;
  error_slope_ = ratio / length;
  return true;
}

double NoiseFloor::step_taken(double dt) {
  const double longest = std::max(std::abs(dt), longest_);
  longest_ = its_ratio_ = 0;
  return std::copysign(longest, dt);
}

}  // namespace pathline::sampler

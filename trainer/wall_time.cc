// SPDX-License-Identifier: Apache-2.0
#include "trainer/wall_time.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

namespace pathline::trainer {
namespace {

constexpr double kMargin = 30;

/// Seconds since 1970; nothing for what is no such number.
std::optional<double> job_end(const cluster::Environment& environment) {
  const char* text = environment("SLURM_JOB_END_TIME");
  if (text == nullptr) return std::nullopt;
  long long seconds = 0;
  const char* last = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, last, seconds);
  if (error != std::errc() || stop != last) return std::nullopt;
  return static_cast<double>(seconds);
}

}  // namespace

std::optional<double> end_of_time(double start, double wall_minutes, const cluster::Environment& environment,
                                  double monotonic_now, double wall_now) {
  std::optional<double> end;
  if (wall_minutes > 0) end = start + wall_minutes * 60;
  const auto job = job_end(environment);
  if (job && *job > wall_now) end = std::min(end.value_or(HUGE_VAL), monotonic_now + *job - wall_now);
  return end;
}

bool WallTime::nearly_over(double now) {
  longest_ = std::max(longest_, now - last_look_.value_or(now));
  last_look_ = now;
  return end_ && now >= *end_ - lead();
}

double WallTime::lead() const {
  if (!end_) return 0;
  const double whole = *end_ - start_;
  return std::min(whole / 2, 2 * save_ + 2 * longest_ + std::min(kMargin, whole / 10));
}

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
#include "model/noise_schedule.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

#include "core/error.h"

namespace pathline::model {
namespace {

constexpr std::int64_t kTimes = 1000;

double cosine_alpha_bar(double t) {
  const double c = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
  return c * c;
}

double beta_at(const std::string& schedule, std::int64_t i) {
  const double n = kTimes, k = static_cast<double>(i);
  if (schedule == "ddpm-linear") return 1e-4 + (0.02 - 1e-4) * k / (n - 1);
  PL_CHECK(schedule == "cosine", core::ExitCode::kUsage, "noise schedule \"", schedule,
           "\" is not known. Use ddpm-linear or cosine.");
  return std::min(1 - cosine_alpha_bar((k + 1) / n) / cosine_alpha_bar(k / n), 0.999);
}

}  // namespace

std::vector<double> alpha_bars(const std::string& schedule) {
  std::vector<double> table;
  double product = 1;
  for (std::int64_t i = 0; i < kTimes; ++i) table.push_back(product *= 1 - beta_at(schedule, i));
  return table;
}

std::string schedule_of(const std::string& time_input) {
  if (time_input == "ddpm999") return "ddpm-linear";
  return time_input == "ddpm999-cosine" ? "cosine" : "";
}

}  // namespace pathline::model

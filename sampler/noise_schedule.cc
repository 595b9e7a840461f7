// SPDX-License-Identifier: Apache-2.0
#include "sampler/noise_schedule.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/text.h"

namespace pathline::sampler {
namespace {

constexpr auto kUsage = core::ExitCode::kUsage;
constexpr std::int64_t kTimes = 1000;

std::vector<std::int64_t> every_nth(std::int64_t wanted, std::int64_t times) {
  for (std::int64_t stride = 1; stride < times; ++stride) {
    if ((times + stride - 1) / stride != wanted) continue;
    std::vector<std::int64_t> kept;
    for (std::int64_t i = 0; i < times; i += stride) kept.push_back(i);
    return kept;
  }
  PL_CHECK(false, kUsage, "respacing ddim", wanted, ": no whole stride takes ", wanted, " of ", times,
           " times. Use a number that divides it, such as 50 or 250.");
}

}  // namespace

std::vector<std::int64_t> spaced_times(const std::string& spacing, std::int64_t times) {
  if (spacing.starts_with("ddim")) return every_nth(core::parse_integer(spacing.substr(4), "respacing"), times);
  const std::vector<std::string> counts = core::split(spacing, ',');
  PL_CHECK(!counts.empty(), kUsage, "the respacing is empty. Use a number of steps such as 250.");
  const auto sections = static_cast<std::int64_t>(counts.size());
  std::vector<std::int64_t> kept;
  std::int64_t start = 0;
  for (std::int64_t section = 0; section < sections; ++section) {
    const std::int64_t size = times / sections + (section < times % sections);
    const std::int64_t count = core::parse_integer(counts[section], "respacing");
    PL_CHECK(count >= 1 && count <= size, kUsage, "respacing ", spacing, ": ", count, " of ", size,
             " times cannot be kept. Use a number from 1 to ", size, ".");
    const double stride = count == 1 ? 1.0 : static_cast<double>(size - 1) / static_cast<double>(count - 1);
    double at = 0;  // summed, as there: the rounding of halves depends on it
    for (std::int64_t i = 0; i < count; ++i, at += stride) {
      kept.push_back(start + static_cast<std::int64_t>(std::nearbyint(at)));
    }
    start += size;
  }
  return kept;
}

std::vector<ReverseStep> reverse_steps(const std::string& schedule, const std::string& spacing) {
  const std::vector<double> table = alpha_bars(schedule);
  std::vector<ReverseStep> steps;
  double before = 1;
  for (const std::int64_t time : spaced_times(spacing, kTimes)) {
    ReverseStep step;
    step.time = static_cast<double>(time);
    step.alpha_bar = table[static_cast<std::size_t>(time)];
    step.alpha_bar_before = before;
    step.beta = 1 - step.alpha_bar / before;
    step.posterior_variance = step.beta * (1 - before) / (1 - step.alpha_bar);
    step.log_posterior_variance = std::log(step.posterior_variance);
    step.log_large_variance = std::log(step.beta);
    before = step.alpha_bar;
    steps.push_back(step);
  }
  if (steps.size() > 1) steps[0].log_posterior_variance = steps[0].log_large_variance = steps[1].log_posterior_variance;
  std::ranges::reverse(steps);
  return steps;
}

}  // namespace pathline::sampler

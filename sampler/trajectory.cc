// SPDX-License-Identifier: Apache-2.0
#include "sampler/trajectory.h"

#include "core/error.h"
#include "core/text.h"

namespace pathline::sampler {

std::array<double, 2> linear_weights(double theta) { return {1 - theta, theta}; }

std::array<double, 3> quadratic_weights(double theta, double h) {
  return {1 - theta * theta, theta * theta, h * theta * (1 - theta)};
}

std::array<double, 4> hermite_weights(double theta, double h) {
  const double rest = 1 - theta, end = theta * theta * (3 - 2 * theta);
  return {1 - end, end, h * theta * rest * rest, -h * theta * theta * rest};
}

std::vector<double> even_times(std::int64_t count) {
  std::vector<double> times;
  for (std::int64_t i = 0; i < count; ++i) times.push_back(static_cast<double>(i) / static_cast<double>(count - 1));
  return times;
}

std::vector<double> parse_trajectories(const std::string& text) {
  constexpr const char* kOption = "--trajectories";
  if (text.find_first_of(",.") != std::string::npos) {
    std::vector<double> times;
    for (const std::string& time : core::split(text, ',')) times.push_back(core::parse_number(time, kOption));
    return times;
  }
  const std::int64_t count = core::parse_integer(text, kOption);
  constexpr std::int64_t kMost = 1000;
  PL_CHECK(count >= 2 && count <= kMost, core::ExitCode::kUsage, kOption, " is ", count, "; it must be from 2 to ",
           kMost, " (even times from 0 to 1), or the times themselves, as in 0,0.25,1.");
  return even_times(count);
}

}  // namespace pathline::sampler

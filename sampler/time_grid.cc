// SPDX-License-Identifier: Apache-2.0
#include "sampler/time_grid.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "core/error.h"
#include "core/text.h"

namespace pathline::sampler {
namespace {

constexpr auto kUsage = core::ExitCode::kUsage;

/// t of Karras' noise level i of n.
double edm_time(std::int64_t i, std::int64_t n) {
  constexpr double kRho = 7.0, kLow = 0.002, kHigh = 80.0;
  const double share = static_cast<double>(i) / static_cast<double>(n - 1);
  const double root = std::pow(kHigh, 1 / kRho) + share * (std::pow(kLow, 1 / kRho) - std::pow(kHigh, 1 / kRho));
  return 1.0 / (1.0 + std::pow(root, kRho));
}

double shifted(double u, double factor) {
  const double level = 1.0 - u;
  return 1.0 - factor * level / (1.0 + (factor - 1.0) * level);
}

std::vector<double> listed_times(const std::string& grid, double t0, double t1) {
  std::vector<double> times;
  for (const std::string& part : core::split(grid, ',')) times.push_back(core::parse_number(part, "--grid"));
  PL_CHECK(times.size() >= 2 && times.front() == t0 && times.back() == t1, kUsage, "--grid ", grid,
           " does not lead from t = ", t0, " to t = ", t1,
           " (these are the ends of the given steps). Begin and "
           "end the list there.");
  return times;
}

/// The law on [0, 1] at i of steps; its ends are exact.
double law_at(const std::string& grid, std::int64_t i, std::int64_t steps) {
  if (i == 0 || i == steps) return i == 0 ? 0.0 : 1.0;
  const double u = static_cast<double>(i) / static_cast<double>(steps);
  if (grid == "uniform") return u;
  if (grid == "cosine") return 1.0 - std::cos(u * std::numbers::pi / 2);
  if (grid == "edm") return edm_time(i, steps);
  PL_CHECK(grid.starts_with("shift:"), kUsage, "--grid ", grid,
           " is not known. Use uniform, cosine, edm, shift:K or a list of times such as 0,0.5,1.");
  const double factor = core::parse_number(grid.substr(6), "--grid shift");
  PL_CHECK(factor > 0, kUsage, "--grid ", grid, ": the factor must be positive (1 is no shift).");
  return shifted(u, factor);
}

void check_monotone(const std::string& grid, const std::vector<double>& times) {
  for (std::size_t i = 0; i + 1 < times.size(); ++i) {
    PL_CHECK((times[i] < times[i + 1]) == (times.front() < times.back()) && times[i] != times[i + 1], kUsage, "--grid ",
             grid, " gives times that do not go on from ", times[i], " to ", times[i + 1],
             ". Use fewer steps, or "
             "another list.");
  }
}

}  // namespace

std::vector<double> time_grid(const std::string& grid, std::int64_t steps, double t0, double t1) {
  std::vector<double> times;
  if (grid.find(',') != std::string::npos) {
    times = listed_times(grid, t0, t1);
  } else {
    PL_CHECK(steps > 0, kUsage, "--steps is ", steps, "; a solver with given steps needs at least 1.");
    law_at(grid, 1, 3);  // the name, also where one step needs no law
    for (std::int64_t i = 0; i < steps; ++i) {
      // Backwards the same times in the other order.
      const double law = t0 < t1 ? law_at(grid, i, steps) : 1.0 - law_at(grid, steps - i, steps);
      times.push_back(t0 + law * (t1 - t0));
    }
    times.push_back(t1);
  }
  check_monotone(grid, times);
  return times;
}

Timeline timeline_of(const SolverOptions& options, std::vector<double> times) {
  Timeline line{std::move(times), {}};
  for (std::size_t i = 0; i < line.segments(); ++i) {
    const double middle = (line.times[i] + line.times[i + 1]) / 2;
    line.guided.push_back(options.guidance_from <= middle && middle <= options.guidance_to);
  }
  return line;
}

Timeline landing_points(const SolverOptions& options) {
  const double low = std::min(options.t0, options.t1), high = std::max(options.t0, options.t1);
  std::vector<double> times = {options.t0};
  std::vector<double> ends = {options.guidance_from, options.guidance_to};
  if (options.t0 > options.t1) std::swap(ends[0], ends[1]);
  for (const double end : ends) {
    if (options.guides() && low < end && end < high && end != times.back()) times.push_back(end);
  }
  times.push_back(options.t1);
  return timeline_of(options, std::move(times));
}

}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
// The times at which given steps begin and end, and which of them lie in the interval of guidance.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sampler/solver_options.h"

namespace pathline::sampler {

/// From t0 to t1, in either direction: steps + 1 times, strictly monotone, the ends exact. `grid`:
///   uniform     evenly
///   cosine      1 - cos(pi u / 2): dense at the noise
///   edm         noise levels of Karras et al. (arXiv 2206.00364, Eq. 5; 0.002 to 80, rho 7) as t = 1 / (1 + sigma)
///   shift:K     noise level q = 1 - t becomes K q / (1 + (K - 1) q) (Esser et al., arXiv 2403.03206)
///   0,0.2,1     the times themselves; `steps` is not used
/// u runs evenly over [0, 1] and the law is stretched over the interval. Throws ExitCode::kUsage.
std::vector<double> time_grid(const std::string& grid, std::int64_t steps, double t0, double t1);

/// Segments of time: given steps, or the pieces in which an adaptive solver chooses its own (their ends are landing
/// points). Segment i lies between times[i] and times[i + 1].
struct Timeline {
  std::vector<double> times;
  std::vector<char> guided;  // one a segment: does its middle lie in the interval of guidance?

  std::size_t segments() const { return times.size() - 1; }
};

/// Given steps at these times.
Timeline timeline_of(const SolverOptions& options, std::vector<double> times);

/// The whole interval, cut where guidance begins and ends.
Timeline landing_points(const SolverOptions& options);

}  // namespace pathline::sampler

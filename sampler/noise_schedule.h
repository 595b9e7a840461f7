// SPDX-License-Identifier: Apache-2.0
// Discrete-time diffusion as guided-diffusion and DiT use it: tables of a schedule at the times that are kept. Sources:
// Ho et al. (arXiv 2006.11239); Nichol, Dhariwal (arXiv 2102.09672); times and tables as in guided-diffusion's code.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/noise_schedule.h"

namespace pathline::sampler {

using model::alpha_bars;

/// Which of T times are kept, rising. "250": so many, evenly, both ends included; "10,15,20": the times cut into as
/// many sections, each with its number; "ddim50": every n-th so that there are 50. Throws ExitCode::kUsage.
std::vector<std::int64_t> spaced_times(const std::string& spacing, std::int64_t times);

/// One step of the reverse process, from a kept time to the one before (or to the data, alpha_bar_before = 1).
struct ReverseStep {
  double time = 0;  // what the network is fed
  double alpha_bar = 1, alpha_bar_before = 1;
  double beta = 0;                    // of the step
  double posterior_variance = 0;      // beta (1 - alpha_bar_before) / (1 - alpha_bar)
  double log_posterior_variance = 0;  // clipped: at the last step that of the step before, not -inf
  double log_large_variance = 0;      // log beta; at the last step the posterior's of the step before
};

/// In order of sampling: the noisiest first.
std::vector<ReverseStep> reverse_steps(const std::string& schedule, const std::string& spacing);

}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
// The discrete schedules of diffusion models whose networks are fed the index of a time. Sources: Ho et al. (arXiv
// 2006.11239); Nichol, Dhariwal (arXiv 2102.09672).
#pragma once

#include <string>
#include <vector>

namespace pathline::model {

/// alpha-bar of T = 1000 times, falling: "ddpm-linear" (betas 1e-4 .. 0.02) or "cosine". Throws ExitCode::kUsage.
std::vector<double> alpha_bars(const std::string& schedule);

/// The schedule that model.time_input names, as alpha_bars() takes it; empty where a network is fed no index.
std::string schedule_of(const std::string& time_input);

}  // namespace pathline::model

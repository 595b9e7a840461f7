// SPDX-License-Identifier: Apache-2.0
// Sampling a model that was distilled to few steps: it knows its velocity at the beginnings of those steps alone.
#pragma once

#include <cstdint>
#include <string>

#include "flow/flow_options.h"
#include "sampler/solver_options.h"

namespace pathline::sampler {

inline bool is_distilled(const flow::FlowOptions& trained) { return trained.objective == "distill"; }

/// What the model is solved with when `asked`: Euler's method in `steps` even steps. Options at rest mean just that;
/// throws ExitCode::kUsage for another solver, number of steps or grid.
SolverOptions in_distilled_steps(const SolverOptions& asked, std::int64_t steps);

/// Throws ExitCode::kUsage where `user` ("likelihood") needs a velocity at every time and the model was distilled.
void check_all_times(const flow::FlowOptions& trained, const std::string& user);

}  // namespace pathline::sampler

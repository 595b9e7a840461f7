// SPDX-License-Identifier: Apache-2.0
#include "sampler/distilled.h"

#include "core/error.h"
#include "sampler/solver.h"

namespace pathline::sampler {

SolverOptions in_distilled_steps(const SolverOptions& asked, std::int64_t steps) {
  const SolverOptions usual;
  const std::string solver = find_solver(asked.solver).name;
  const char* why = " (it knows its velocity at the beginnings of those steps alone). Leave it out.";
  PL_CHECK(solver == usual.solver || solver == "euler", core::ExitCode::kUsage, "--solver ", asked.solver,
           " was given, but this model was distilled to ", steps, " Euler steps", why);
  PL_CHECK(asked.steps == usual.steps || asked.steps == steps, core::ExitCode::kUsage, "--steps ", asked.steps,
           " was given, but this model was distilled to ", steps, " Euler steps", why);
  PL_CHECK(asked.grid == usual.grid && asked.noise_schedule.empty(), core::ExitCode::kUsage,
           "another grid of times was asked for (--grid ", asked.grid, "), but this model was distilled to ", steps,
           " even Euler steps", why);
  SolverOptions few = asked;
  few.solver = "euler";
  few.steps = steps;
  return few;
}

void check_all_times(const flow::FlowOptions& trained, const std::string& user) {
  PL_CHECK(!is_distilled(trained), core::ExitCode::kUsage, user,
           " needs a velocity at every time, and this model was distilled to ", trained.distill.steps,
           " Euler steps (it knows the means over those alone). Use the model that it was distilled from.");
}

}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
#include "flow/objective_options.h"

#include "core/choice.h"
#include "core/error.h"

namespace pathline::flow {
namespace {

using core::OnResume;

/// What nobody reads is refused: it would be ignored in silence.
void check_read(bool read, const char* keys, const std::string& objective, const char* reader, const char* wanted) {
  PL_CHECK(read, core::ExitCode::kUsage, keys, " with flow.objective = \"", objective, "\" (only ", reader,
           " reads them). Leave them away, or set objective = \"", wanted, "\".");
}

}  // namespace

void bind(core::Config& recipe, const std::string& objective, CnfOptions& options) {
  recipe.bind("flow", "cnf_solver", options.solver, OnResume::kFixed, "nll-cnf: rk4 | midpoint");
  recipe.bind("flow", "cnf_steps", options.steps, OnResume::kFixed, "nll-cnf: steps from a datum to its noise");
  recipe.bind("flow", "cnf_divergence", options.divergence, OnResume::kFixed,
              "nll-cnf: exact | hutchinson | auto (exact in up to 4 dimensions)");
  check_read(objective == "nll-cnf" || options == CnfOptions{}, "flow.cnf_solver, cnf_steps or cnf_divergence",
             objective, "a continuous flow trained by likelihood", "nll-cnf");
  core::check_choice("flow.cnf_solver", options.solver, {"rk4", "midpoint"});
  core::check_choice("flow.cnf_divergence", options.divergence, {"auto", "exact", "hutchinson"});
  PL_CHECK(options.steps > 0, core::ExitCode::kUsage, "flow.cnf_steps is ", options.steps,
           " (the way from a datum to its noise takes at least one). The usual value is 8.");
}

void bind(core::Config& recipe, const std::string& objective, DistillOptions& options) {
  recipe.bind("flow", "distill_steps", options.steps, OnResume::kFixed,
              "distill: Euler steps that the model is made for; a teacher has twice as many");
  recipe.bind("flow", "teacher", options.teacher, OnResume::kFree,
              "distill: RUN, RUN:ema-0.999, RUN:master or FILE.safetensors; empty: from pairs");
  check_read(objective == "distill" || options == DistillOptions{}, "flow.teacher or flow.distill_steps", objective,
             "distillation to few steps", "distill");
  PL_CHECK(options.steps > 0, core::ExitCode::kUsage, "flow.distill_steps is ", options.steps,
           " (a sample takes at least one). Use 1, or another number of steps.");
}

}  // namespace pathline::flow

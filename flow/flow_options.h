// SPDX-License-Identifier: Apache-2.0
// The section [flow] of a recipe. docs/recipes.md explains the values.
#pragma once

#include <cstdint>
#include <string>

#include "core/config.h"
#include "flow/coupling.h"
#include "flow/parameterisation.h"

namespace pathline::flow {

struct FlowOptions {
  std::string objective = "flow";    // flow | score | nll-flow | nll-cnf (likelihood) | distill | classifier
  std::string path = "linear";       // as Path::parse()
  std::string predict = "velocity";  // as Parameterisation
  std::string weight = "auto";       // the same
  std::string time = "uniform";      // as TimeLaw::parse()
  CouplingOptions pairing;
  // of objective nll-cnf
  std::string cnf_solver = "rk4";       // rk4 | midpoint
  std::int64_t cnf_steps = 8;           // from the datum to its noise
  std::string cnf_divergence = "auto";  // exact | hutchinson | auto: exact in up to 4 dimensions
  double label_drop = 0.1;              // share of labels replaced by the null label; 0 for unconditional data
  // of objective distill
  std::int64_t distill_steps = 1;  // Euler steps, even over the path, that the model is made for
  std::string teacher;        // RUN[:ema-0.999], RUN:master or FILE.safetensors, of twice the steps; "": from pairs
  std::string mask = "none";  // what is known of a sample, as MaskLaw::parse()
};

/// Throws ExitCode::kUsage for what does not go together.
Parameterisation parameterisation_of(const FlowOptions& options);

/// Reads [flow]; throws ExitCode::kUsage for a value that this version does not offer, listing those it does.
void bind(core::Config& recipe, FlowOptions& options);

}  // namespace pathline::flow

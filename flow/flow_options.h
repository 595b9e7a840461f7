// SPDX-License-Identifier: Apache-2.0
// The section [flow] of a recipe. docs/recipes.md explains the values.
#pragma once

#include <string>

#include "core/config.h"
#include "flow/coupling.h"
#include "flow/objective_options.h"
#include "flow/parameterisation.h"

namespace pathline::flow {

struct FlowOptions {
  std::string objective = "flow";    // flow | score | ddpm | nll-flow, nll-cnf (likelihood) | distill | classifier
  std::string path = "linear";       // as Path::parse()
  std::string predict = "velocity";  // as Parameterisation
  std::string weight = "auto";       // the same
  std::string time = "uniform";      // as TimeLaw::parse()
  double label_drop = 0.1;           // share of labels replaced by the null label; 0 for unconditional data
  std::string mask = "none";         // what is known of a sample, as MaskLaw::parse()
  CouplingOptions pairing;
  CnfOptions cnf;
  DistillOptions distill;
};

/// Throws ExitCode::kUsage for what does not go together.
Parameterisation parameterisation_of(const FlowOptions& options);

/// Reads [flow]; throws ExitCode::kUsage for a value that this version does not offer, listing those it does.
void bind(core::Config& recipe, FlowOptions& options);

}  // namespace pathline::flow

// SPDX-License-Identifier: Apache-2.0
// The section [flow] of a recipe.
#pragma once

#include <string>

#include "core/config.h"

namespace pathline::flow {

struct FlowOptions {
  std::string objective = "flow";
  std::string path = "linear";
  std::string predict = "velocity";
  std::string time = "uniform";  // uniform | logit-normal:m,s
  std::string coupling = "independent";
  double label_drop = 0.1;  // share of labels replaced by the null label; 0 for unconditional data
};

/// Reads [flow]; throws ExitCode::kUsage for a value that this version does not offer, listing those it does.
void bind(core::Config& recipe, FlowOptions& options);

}  // namespace pathline::flow

// SPDX-License-Identifier: Apache-2.0
// Keys of [flow] that one objective alone reads; under another one only their defaults go.
#pragma once

#include <cstdint>
#include <string>

#include "core/config.h"

namespace pathline::flow {

/// Of objective "nll-cnf".
struct CnfOptions {
  std::string solver = "rk4";       // rk4 | midpoint
  std::int64_t steps = 8;           // from the datum to its noise
  std::string divergence = "auto";  // exact | hutchinson | auto: exact in up to 4 dimensions
  bool operator==(const CnfOptions&) const = default;
};

/// Of objective "distill".
struct DistillOptions {
  std::int64_t steps = 1;  // Euler steps, even over the path, that the model is made for
  std::string teacher;     // RUN[:ema-0.999], RUN:master or FILE.safetensors, of twice the steps; "": from pairs
  bool operator==(const DistillOptions&) const = default;
};

/// Read those keys. Throw ExitCode::kUsage.
void bind(core::Config& recipe, const std::string& objective, CnfOptions& options);
void bind(core::Config& recipe, const std::string& objective, DistillOptions& options);

}  // namespace pathline::flow

// SPDX-License-Identifier: Apache-2.0
// What `pathline likelihood` says and writes.
#pragma once

#include <vector>

#include "apps/likelihood/options.h"
#include "data/shard_source.h"
#include "sampler/likelihood.h"

namespace pathline::apps {

/// Prints the figure of the set, summed in the order of `densities`, and writes command.output if it is named. Throws
/// ExitCode::kNumerical if all items failed.
void report(const LikelihoodCommand& command, const std::vector<sampler::LogDensity>& densities,
            const data::SetInfo& info);

}  // namespace pathline::apps

// SPDX-License-Identifier: Apache-2.0
// What `pathline sample` says.
#pragma once

#include <string>

#include "apps/sample/options.h"
#include "sampler/range_dealer.h"

namespace pathline::apps {

/// "NFE 62.3, occupancy 0.981, 2 failed", behind count, rate and time left.
std::string progress_detail(const sampler::Tally& tally);
std::string progress_detail(const sampler::Statistics& made);

/// `set`: of all samples in the set; `made`: of what this start made of it.
void print_result(const SampleOptions& options, const sampler::Statistics& set, const sampler::Statistics& made);

/// Warns of why samples that were made now failed, and of those that reached their network's noise floor.
void say_trouble(const sampler::Statistics& made);

/// Throws ExitCode::kNumerical if all samples failed; warns of some.
void check_failures(const sampler::Statistics& set);

}  // namespace pathline::apps

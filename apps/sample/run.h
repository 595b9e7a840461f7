// SPDX-License-Identifier: Apache-2.0
// One start of a job: continues what is there, makes what is missing, and writes the set when nothing is.
#pragma once

#include "apps/sample/options.h"
#include "cluster/communicator.h"

namespace pathline::apps {

/// Collective. Returns the exit code: 0, or 64 if it was asked to stop before the set was complete.
int run_sample(const SampleOptions& options, cluster::Communicator& world);

}  // namespace pathline::apps

// SPDX-License-Identifier: Apache-2.0
// One likelihood of one set.
#pragma once

#include "apps/likelihood/options.h"
#include "cluster/communicator.h"

namespace pathline::apps {

/// Collective. Returns 0; throws ExitCode::kStopped where a rank was asked to stop.
int run_likelihood(const LikelihoodCommand& command, cluster::Communicator& world);

}  // namespace pathline::apps

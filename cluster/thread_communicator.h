// SPDX-License-Identifier: Apache-2.0
// N ranks as N threads of one process: everything that runs over MPI is tested without it.
#pragma once

#include <functional>

#include "cluster/communicator.h"

namespace pathline::cluster {

/// Runs `body` once per rank, each in a thread of its own, and returns when all have ended. An exception on one rank
/// releases the others from whatever collective they wait in (they throw); the first one is rethrown here. A rank that
/// returns while others wait for it counts as lost (ExitCode::kRankLost). abort() on any rank throws, too.
void run_on_threads(int ranks, const std::function<void(Communicator&)>& body);

}  // namespace pathline::cluster

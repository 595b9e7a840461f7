// SPDX-License-Identifier: Apache-2.0
// The communicator of a process that runs alone: no MPI needed, nothing waits.
#pragma once

#include <memory>

#include "cluster/communicator.h"

namespace pathline::cluster {

std::unique_ptr<Communicator> make_self_communicator();

}  // namespace pathline::cluster

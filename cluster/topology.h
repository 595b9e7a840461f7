// SPDX-License-Identifier: Apache-2.0
// Which ranks share a host. Found by comparing host names; the launchers' variables are not trusted (under mpirun
// inside a Slurm allocation SLURM_LOCALID is 0 on every rank, under srun Open MPI's local rank is not set).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cluster/communicator.h"

namespace pathline::cluster {

struct Topology {
  std::vector<std::string> hosts;  // of every rank
  int host_count = 1;
  int local_rank = 0;  // among the ranks of this host, in rank order
  int local_size = 1;
};

/// The topology as `rank` sees it.
Topology topology_of(int rank, std::span<const std::string> hosts);

/// Collective.
Topology find_topology(Communicator& ranks);

}  // namespace pathline::cluster

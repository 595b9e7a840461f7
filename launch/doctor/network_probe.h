// SPDX-License-Identifier: Apache-2.0
// What the ranks are to each other, once it is known that they reach each other. All calls are collective.
#pragma once

#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "launch/doctor/judge_ranks.h"

namespace pathline::doctor {

/// The cores that every rank may use.
std::vector<std::vector<int>> cores_of_all(cluster::Communicator& ranks);

/// Seconds by which every rank's clock is ahead of rank 0's; off by the time that a barrier takes.
std::vector<double> clock_skew(cluster::Communicator& ranks);

/// `bytes`: of the larger one; it is repeated for about `seconds`.
AllReduce time_all_reduce(cluster::Communicator& ranks, int hosts, std::size_t bytes, double seconds);

/// Whether every rank sees what rank 0 writes into `directory`.
Line try_shared(cluster::Communicator& ranks, const std::string& directory);

}  // namespace pathline::doctor

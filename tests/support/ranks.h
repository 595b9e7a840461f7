// SPDX-License-Identifier: Apache-2.0
// Ranks for tests. The same test source is linked twice (cmake/PathlineTargets.cmake): with ranks_threads.cc, where
// each_rank() runs the body on 1, 2, 3, 4 and 5 threads in turn, and with ranks_mpi.cc, where it runs once on the ranks
// that mpirun started. A failure on any rank fails the test everywhere.
#pragma once

#include <functional>
#include <string>

#include "cluster/communicator.h"

namespace pathline::tests {

/// `body` runs on every rank at once.
void each_rank(const std::function<void(cluster::Communicator&)>& body);

/// A fresh directory that all ranks share; the same string on every rank. Collective.
std::string shared_temporary_directory(cluster::Communicator& ranks, const std::string& name);

}  // namespace pathline::tests

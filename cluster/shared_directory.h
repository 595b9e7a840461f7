// SPDX-License-Identifier: Apache-2.0
// A check before work starts: do all ranks see the same directory? Otherwise a checkpoint would be scattered over the
// hosts' own disks and be found missing when it is needed.
#pragma once

#include <chrono>
#include <string>

#include "cluster/communicator.h"
#include "core/file_system.h"

namespace pathline::cluster {

/// Network file systems show a new file late: a rank looks again after a pause, which doubles. The defaults look for
/// about 6 seconds.
struct LookingAgain {
  int tries = 8;
  std::chrono::milliseconds first_pause{50};
};

/// Rank 0 writes a file with a number into `directory`, every rank reads it back. All ranks throw AgreedError
/// (ExitCode::kEnvironment) naming the hosts that do not see it. Collective.
void check_shared_directory(Communicator& ranks, core::FileSystem& files, const std::string& directory,
                            const LookingAgain& looking = {});

/// Not collective: removes what checks left behind that were killed. For the one owner of `directory`.
void remove_marks(core::FileSystem& files, const std::string& directory);

}  // namespace pathline::cluster

// SPDX-License-Identifier: Apache-2.0
// Started by mpirun on several ranks: one of them gets stuck or is stopped while the others sit in MPI. mpirun has to
// return 67 in all cases.
//   stuck N    rank N computes for ever         stopped N  rank N is stopped by SIGSTOP
//   judges     both judges are stopped          error      an agreed error passes through the watchdog: 3
#include <signal.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "cluster/agree.h"
#include "cluster/session.h"
#include "cluster/watchdog.h"

namespace pathline::cluster {
namespace {

/// Not left by the compiler's reasoning about loops.
void compute_for_ever() {
  static std::atomic<bool> done{false};
  while (!done.load()) continue;
}

int run(Communicator& world, const std::string& way, int lost) {
  Watchdog watchdog(world, Deadlines{1, 0});
  watchdog.here().enter(Phase::kCompute, 7);
  if (way == "error") {
    together(world, [&] { PL_CHECK(world.rank() != 1, core::ExitCode::kInput, "the input of one rank"); });
  }
  world.barrier();
  const bool is_judge = world.rank() == 0 || world.rank() == world.size() - 1;
  if (way == "stopped" ? world.rank() == lost : way == "judges" && is_judge) ::raise(SIGSTOP);
  if (way == "stuck" && world.rank() == lost) compute_for_ever();
  watchdog.here().enter(Phase::kReduce);
  watchdog.here().next_collective();
  world.barrier();
  return 0;
}

}  // namespace
}  // namespace pathline::cluster

int main(int argc, char** argv) {
  using namespace pathline;
  const std::string way = argc > 1 ? argv[1] : "";
  const int lost = argc > 2 ? std::atoi(argv[2]) : 0;
  return cluster::run_with_ranks([&](cluster::Communicator& world) { return cluster::run(world, way, lost); });
}

// SPDX-License-Identifier: Apache-2.0
// Started by mpirun on several ranks: ends in the way that its argument names. No way may hang.
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>

#include "cluster/agree.h"
#include "cluster/mpi_communicator.h"
#include "cluster/session.h"
#include "core/error.h"

namespace pathline::cluster {
namespace {

void require_input(bool good) { PL_CHECK(good, core::ExitCode::kInput, "the input of one rank"); }

/// The last rank leaves by an exception while the others wait for it.
int lone_error(Communicator& world) {
  require_input(world.rank() != world.size() - 1);
  world.barrier();
  return 0;
}

int agreed_error(Communicator& world) {
  together(world, [&] { require_input(world.rank() != world.size() - 1); });
  return 0;
}

/// A request is under way, and nobody catches before the session ends.
int unwinding_session() {
  MpiSession session;
  Communicator& world = session.world();
  const auto half = duplicate(world);
  std::int64_t value = 0;
  std::unique_ptr<Request> request;
  if (world.rank() == world.size() - 1) request = half->start_all_reduce(std::span(&value, 1), Reduction::kSum);
  return lone_error(world);
}

}  // namespace
}  // namespace pathline::cluster

int main(int argc, char** argv) {
  using namespace pathline;
  const std::string way = argc > 1 ? argv[1] : "";
  if (way == "lone") return cluster::run_with_ranks(cluster::lone_error);
  if (way == "agreed") return cluster::run_with_ranks(cluster::agreed_error);
  if (way == "unwinding") return core::run_program(cluster::unwinding_session);
  if (way == "finished") return cluster::run_with_ranks([](cluster::Communicator&) { return 0; });
  std::fprintf(stderr, "which way?\n");
  return 2;
}

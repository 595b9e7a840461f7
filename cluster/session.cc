// SPDX-License-Identifier: Apache-2.0
#include "cluster/session.h"

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "cluster/agree.h"
#include "cluster/mpi_communicator.h"
#include "cluster/self_communicator.h"
#include "core/error.h"

namespace pathline::cluster {
namespace {

/// Prints the exception being handled and gives its exit code.
int report_current_exception() {
  return core::run_program([]() -> int { throw; });
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) { return std::getenv(name.c_str()); };
}

bool started_by_launcher(const Environment& environment) {
  // mpirun; srun --mpi=pmix; srun --mpi=pmi2 and the launchers of MPICH's family
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"}) {
    if (environment(name)) return true;
  }
  const char* tasks = environment("SLURM_STEP_NUM_TASKS");
  PL_CHECK(!tasks || std::atoi(tasks) <= 1, core::ExitCode::kEnvironment, "srun started ", tasks,
           " tasks without a process manager for MPI (each would work alone on the same files). "
           "Start with `srun --mpi=pmix`, or with mpirun inside the allocation.");
  return false;
}

std::int64_t usual_threads() { return started_by_launcher() ? 1 : std::max(1u, std::thread::hardware_concurrency()); }

int local_place(const Environment& environment) {
  // Open MPI first: under mpirun inside an allocation Slurm's is 0 everywhere.
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"}) {
    if (const char* place = environment(name)) return std::max(0, std::atoi(place));
  }
  return 0;
}

Session::Session() {
  if (started_by_launcher()) {
    mpi_ = std::make_unique<MpiSession>();
  } else {
    self_ = make_self_communicator();
  }
}

Session::~Session() = default;

Communicator& Session::world() { return mpi_ ? mpi_->world() : *self_; }

int run_with_ranks(const std::function<int(Communicator& world)>& body) {
  return core::run_program([&] {
    Session session;
    Communicator& world = session.world();
    try {
      return body(world);
    } catch (const AgreedError& error) {
      return world.rank() == 0 ? report_current_exception() : static_cast<int>(error.code());
    } catch (...) {
      const int code = report_current_exception();
      if (world.size() > 1) world.abort(code);
      return code;
    }
  });
}

}  // namespace pathline::cluster

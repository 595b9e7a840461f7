// SPDX-License-Identifier: Apache-2.0
// The ranks of this start of a program: those that mpirun or srun started, or this process alone, without MPI.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cluster/communicator.h"

namespace pathline::cluster {

class MpiSession;

/// A variable's value, or nullptr.
using Environment = std::function<const char*(const std::string& name)>;
Environment process_environment();

/// True if a launcher with a process manager that MPI can use started this process. Throws ExitCode::kEnvironment if
/// srun started several tasks without one: each would take itself for the only rank.
bool started_by_launcher(const Environment& environment = process_environment());

/// Threads of a process where nobody says: one under a launcher, whose ranks share the cores and must give one rank's
/// bits; else all cores.
std::int64_t usual_threads();

/// This process's place among those that its launcher started on this host, 0 without one: for programs that do without
/// MPI. Ranks that talk to each other use find_topology().
int local_place(const Environment& environment = process_environment());

class Session {
 public:
  Session();
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Communicator& world();

 private:
  std::unique_ptr<MpiSession> mpi_;
  std::unique_ptr<Communicator> self_;
};

/// A back end's main: runs `body` with all ranks and returns the exit code. An AgreedError is printed by rank 0, and
/// all ranks leave in order with its code. Any other exception is printed where it happened and ends all ranks at once
/// with its code, since the others may be waiting for this rank.
int run_with_ranks(const std::function<int(Communicator& world)>& body);

}  // namespace pathline::cluster

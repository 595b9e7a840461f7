// SPDX-License-Identifier: Apache-2.0
// What the doctor thinks of ranks: are all there, do they reach each other, how fast, do their clocks agree. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cluster/session.h"
#include "launch/doctor/line.h"

namespace pathline::doctor {

/// "rank 1", "ranks 0-3, 7".
std::string named(std::span<const int> ranks);

/// What the launcher's variables say.
struct Launch {
  std::string launcher;  // "mpirun", "srun", "" for none
  int rank = 0;          // of this process among them
  int tasks = 1;         // processes that it started
  int slurm_tasks = 0;   // of the allocation; 0 outside of one
  bool joined = false;   // it brought a process manager that MPI can use
};
Launch launch_of(const cluster::Environment& environment);

/// `mpi_ranks`: what MPI says after its start (1 without MPI). `hosts`: of every rank; may be empty.
Line judge_ranks(const Launch& launch, int mpi_ranks, std::span<const std::string> hosts);

/// The ranks that did not come to MPI_Init within `seconds`. `arrived`: those that left their names in `directory`.
Line judge_missing(int ranks, std::span<const int> arrived, double seconds, const std::string& directory);

/// Whom a rank knocks at: everybody, or in jobs of more than 64 ranks those at distances of 1, 2, 4 ... both ways.
std::vector<int> partners_of(int rank, int ranks);

/// What a rank tells after knocking; [r] is about rank r. A rank that told nothing has two empty lists.
struct Knocks {
  std::vector<bool> taken;  // it took our message
  std::vector<bool> heard;  // its message came here
};
/// `all`: of every rank. `hosts` may be empty.
Line judge_reach(std::span<const Knocks> all, std::span<const std::string> hosts, double seconds);

/// `skew`: of every rank's clock to rank 0's, seconds.
Line judge_clocks(std::span<const double> skew, std::span<const std::string> hosts);

struct AllReduce {
  int ranks = 1, hosts = 1;
  double latency_seconds = 0;                   // of one of 8 bytes
  double bytes_per_second = 0;                  // over the wire of a rank, each way
  std::optional<double> link_bytes_per_second;  // of a host's fastest interface, where the system tells
};
Line judge_all_reduce(const AllReduce& seen);

}  // namespace pathline::doctor

// SPDX-License-Identifier: Apache-2.0
// What a batch script asks Slurm for. Each value comes from the command line, else from the site's file, else it is the
// default here (docs/clusters.md lists the keys).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"

namespace pathline::launch {

/// [slurm] of site.toml. Empty texts and zeros leave the line out: Slurm's own default holds.
struct SlurmOptions {
  std::string nodes = "1";          // "4", or "2-4"
  std::int64_t gpus_per_node = 0;   // as many ranks a node
  std::int64_t ranks_per_node = 0;  // without GPUs; 0: 1
  std::int64_t cpus_per_task = 0;
  std::string mem = "0";  // 0: all of a node
  std::string time, partition, account, qos, constraint;
  std::string output;               // empty: %x_%j.out, of an array %x_%A_%a.out
  std::int64_t signal_lead = 120;   // seconds before the end at which the run is asked to stop
  std::string launcher = "mpirun";  // mpirun | srun
  std::vector<std::string> launcher_options;
  std::vector<std::string> options;  // more for sbatch: "--exclusive"
  bool preflight = true;

  std::int64_t tasks_per_node() const;
  /// On the most nodes of a range.
  std::int64_t most_ranks() const;
};

/// [network]: names (or what the library takes instead) of the interfaces to use; empty: the library chooses.
struct NetworkOptions {
  std::string nccl_interface;  // NCCL_SOCKET_IFNAME
  std::string mpi_interface;   // Open MPI's btl_tcp_if_include and oob_tcp_if_include
};

/// [environment] and [container].
struct SurroundingOptions {
  std::vector<std::string> setup;  // lines of shell before anything is started: "module load openmpi"
  std::string image;               // Apptainer image that the programs run in; empty: none
  std::vector<std::string> container_command = {"apptainer", "exec"};
};

struct Site {
  SlurmOptions slurm;
  NetworkOptions network;
  SurroundingOptions surroundings;
};

/// $XDG_CONFIG_HOME/pathline/site.toml, ~/.config/pathline/site.toml without it; empty if there is no home either.
std::string site_file();

/// The file (an empty name or a missing file: defaults), changed by `sets` ("slurm.nodes=4"). Throws ExitCode::kUsage
/// for unknown keys, naming the nearest known one, and for impossible values.
Site read_site(const std::string& file, const std::vector<std::string>& sets);

}  // namespace pathline::launch

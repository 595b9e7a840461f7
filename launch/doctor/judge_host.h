// SPDX-License-Identifier: Apache-2.0
// What the doctor thinks of a host apart from its storage: processors, memory, limits, interfaces, the Slurm job. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launch/doctor/line.h"

namespace pathline::doctor {

struct Processors {
  int online = 1;                         // of the host
  std::vector<std::vector<int>> allowed;  // cores that each rank of this host may use
  double quota = 0;                       // cores that the control group may use at a time; 0: no quota
  int threads = 1;                        // that a rank will use
  bool avx2 = true, avx512 = false;
};
Line judge_processors(const Processors& seen);

struct Memory {
  std::uint64_t total = 0, available = 0;                   // bytes, of the host
  std::optional<std::uint64_t> group_limit = std::nullopt;  // of the control group (container, Slurm)
  std::uint64_t group_used = 0;
  std::uint64_t shared_free = 0;  // of /dev/shm; 0 where there is none
  int ranks = 1;                  // of this host
  std::uint64_t rank_needs = 0;   // of the recipe, without activations; 0: not known
};
Line judge_memory(const Memory& seen);
Line judge_shared_memory(const Memory& seen);

inline constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};

struct Limits {
  std::uint64_t open_files = kNoLimit;
  std::uint64_t locked_memory = kNoLimit;  // bytes
  std::uint64_t file_size = kNoLimit;      // bytes
  std::uint64_t largest_file = 0;          // of a checkpoint; 0: not known
  bool infiniband = false;
};
Line judge_limits(const Limits& seen);

struct Interfaces {
  std::vector<std::string> up;      // names, with an address, without lo
  int hosts = 1;                    // of this job
  std::string nccl = "", mpi = "";  // NCCL_SOCKET_IFNAME, OMPI_MCA_btl_tcp_if_include; "" if not set
  bool own_name_resolves = true;
};
Line judge_interfaces(const Interfaces& seen);

struct SlurmJob {
  std::string id;
  std::optional<std::string> description;  // `scontrol show job ID -o`; empty if it did not answer
  std::optional<double> seconds_left;      // until its time limit
};
Line judge_slurm(const SlurmJob& job);

/// A field of `scontrol show job -o`: "Requeue=1" ... -> "1"; "" if missing.
std::string slurm_field(const std::string& description, const std::string& name);

}  // namespace pathline::doctor

// SPDX-License-Identifier: Apache-2.0
// What this host and this process are, as the system tells it. Local.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch/doctor/judge_host.h"

namespace pathline::doctor {

/// Cores that this process may run on.
std::vector<int> allowed_cores();
/// `allowed`: of every rank of this host.
Processors look_at_processors(std::vector<std::vector<int>> allowed, int threads);
Memory look_at_memory(int ranks, std::uint64_t rank_needs);
Limits look_at_limits(std::uint64_t largest_file);
/// May wait for the name service.
Interfaces look_at_interfaces(int hosts);
/// Of the fastest network interface, where the system tells.
std::optional<double> link_bytes_per_second();

/// Empty outside of a Slurm job. Asks scontrol, which may take 10 seconds.
std::optional<SlurmJob> look_at_slurm();

/// The memory of a control group as its files say: the smallest limit from the process's own group up to the root, and
/// what that group uses. `group` is /proc/self/cgroup; `root` the place of its file systems.
struct GroupMemory {
  std::optional<std::uint64_t> limit;
  std::uint64_t used = 0;
};
GroupMemory group_memory(const std::string& group, const std::string& root);
/// Likewise the cores that it may use at a time; 0: no quota.
double group_cores(const std::string& group, const std::string& root);

}  // namespace pathline::doctor

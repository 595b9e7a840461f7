// SPDX-License-Identifier: Apache-2.0
#include "launch/slurm_options.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "core/error.h"
#include "core/file_system.h"
#include "core/text.h"

namespace pathline::launch {
namespace {

using core::ExitCode;

Site bind(core::Config& config) {
  Site site;
  const auto key = [&](const char* section, const char* name, auto& value) {
    config.bind(section, name, value, core::OnResume::kFree, "");
  };
  SlurmOptions& slurm = site.slurm;
  key("slurm", "nodes", slurm.nodes);
  key("slurm", "gpus_per_node", slurm.gpus_per_node);
  key("slurm", "ranks_per_node", slurm.ranks_per_node);
  key("slurm", "cpus_per_task", slurm.cpus_per_task);
  key("slurm", "mem", slurm.mem);
  key("slurm", "time", slurm.time);
  key("slurm", "partition", slurm.partition);
  key("slurm", "account", slurm.account);
  key("slurm", "qos", slurm.qos);
  key("slurm", "constraint", slurm.constraint);
  key("slurm", "output", slurm.output);
  key("slurm", "signal_lead", slurm.signal_lead);
  key("slurm", "launcher", slurm.launcher);
  key("slurm", "launcher_options", slurm.launcher_options);
  key("slurm", "options", slurm.options);
  key("slurm", "preflight", slurm.preflight);
  key("network", "nccl_interface", site.network.nccl_interface);
  key("network", "mpi_interface", site.network.mpi_interface);
  key("environment", "setup", site.surroundings.setup);
  key("container", "image", site.surroundings.image);
  key("container", "command", site.surroundings.container_command);
  return site;
}

/// "4" or "2-4".
bool is_node_count(const std::string& text) {
  const auto parts = core::split(text, '-');
  return !parts.empty() && parts.size() <= 2 && text.back() != '-' &&
         std::ranges::all_of(parts, [](const std::string& part) {
           return !part.empty() && part.size() <= 6 && part[0] != '0' &&
                  std::ranges::all_of(part, [](unsigned char c) { return std::isdigit(c) != 0; });
         });
}

void check(const SlurmOptions& slurm) {
  PL_CHECK(is_node_count(slurm.nodes), ExitCode::kUsage, "nodes = ", slurm.nodes,
           " is no number of nodes. Write 4, or 2-4 for what there is.");
  for (const auto& [name, value] : {std::pair{"gpus_per_node", slurm.gpus_per_node},
                                    {"ranks_per_node", slurm.ranks_per_node},
                                    {"cpus_per_task", slurm.cpus_per_task}}) {
    PL_CHECK(value >= 0, ExitCode::kUsage, name, " = ", value,
             " is negative. Give a number of at least 1, or leave it out.");
  }
  PL_CHECK(slurm.gpus_per_node == 0 || slurm.ranks_per_node == 0 || slurm.ranks_per_node == slurm.gpus_per_node,
           ExitCode::kUsage, "gpus_per_node = ", slurm.gpus_per_node, " and ranks_per_node = ", slurm.ranks_per_node,
           " contradict each other (a rank computes on one GPU). Give one of them; 0 takes the other back.");
  PL_CHECK(slurm.signal_lead >= 1 && slurm.signal_lead <= 65535, ExitCode::kUsage, "signal_lead = ", slurm.signal_lead,
           " is no time that Slurm knows. Give 1 to 65535 seconds.");
  PL_CHECK(slurm.launcher == "mpirun" || slurm.launcher == "srun", ExitCode::kUsage, "launcher = \"", slurm.launcher,
           "\" is unknown. Use mpirun, or srun where Slurm was built with PMIx (`srun --mpi=list`).");
}

}  // namespace

std::int64_t SlurmOptions::tasks_per_node() const {
  return std::max<std::int64_t>(1, gpus_per_node > 0 ? gpus_per_node : ranks_per_node);
}

std::int64_t SlurmOptions::most_ranks() const { return std::stoll(core::split(nodes, '-').back()) * tasks_per_node(); }

std::string site_file() {
  const char* base = std::getenv("XDG_CONFIG_HOME");
  const char* home = std::getenv("HOME");
  if (base != nullptr && base[0] == '/') return core::join_path(base, "pathline/site.toml");
  return home != nullptr && home[0] != '\0' ? core::join_path(home, ".config/pathline/site.toml") : "";
}

Site read_site(const std::string& file, const std::vector<std::string>& sets) {
  core::PosixFileSystem files;
  core::Config config;
  if (!file.empty() && files.exists(file)) config = core::Config::from_file(file);
  for (const auto& assignment : sets) config.set(assignment);
  const Site site = bind(config);
  config.refuse_unknown_keys();
  check(site.slurm);
  PL_CHECK(!site.surroundings.container_command.empty(), ExitCode::kUsage,
           "container.command is empty (it starts the image). Write for example [\"apptainer\", \"exec\", \"--nv\"].");
  return site;
}

}  // namespace pathline::launch

// SPDX-License-Identifier: Apache-2.0
#include "launch/doctor/judge_host.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/text.h"

namespace pathline::doctor {
namespace {

using core::concat;
using core::human_bytes;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

/// NCCL's list: prefixes, "=eth0" exact, "^docker" excluded.
bool names_one(const std::string& list, const std::vector<std::string>& up) {
  if (list.empty() || list[0] == '^') return true;
  const bool exact = list[0] == '=';
  for (const auto& wanted : core::split(exact ? list.substr(1) : list, ',')) {
    for (const auto& name : up) {
      if (exact ? name == wanted : name.rfind(wanted, 0) == 0) return true;
    }
  }
  return false;
}

/// MPI's list: names or networks like 10.0.0.0/8, which are not looked into.
bool names_all(const std::string& list, const std::vector<std::string>& up) {
  const auto names = core::split(list, ',');
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return name == "lo" || name.find('/') != std::string::npos || std::find(up.begin(), up.end(), name) != up.end();
  });
}

std::string limit_text(std::uint64_t bytes) { return bytes == kNoLimit ? "no limit" : human_bytes(bytes); }

}  // namespace

Line judge_processors(const Processors& seen) {
  std::set<int> all;
  std::size_t fewest = seen.allowed.empty() ? 0 : seen.allowed.front().size();
  for (const auto& cores : seen.allowed) {
    all.insert(cores.begin(), cores.end());
    fewest = std::min(fewest, cores.size());
  }
  const int ranks = static_cast<int>(seen.allowed.size());
  const double usable =
      seen.quota > 0 ? std::min(seen.quota, static_cast<double>(all.size())) : static_cast<double>(all.size());
  const char* vectors = seen.avx512 ? "AVX-512" : seen.avx2 ? "AVX2" : "no AVX2";
  const std::string found = concat(usable, " of ", seen.online, " cores for ", ranks, ranks == 1 ? " rank" : " ranks",
                                   " of ", seen.threads, seen.threads == 1 ? " thread, " : " threads, ", vectors);
  if (ranks > 1 && all.size() == 1 && seen.online > 1) {
    return broken(
        "processors", concat(found, "; all ranks are bound to core ", *all.begin()),
        "start with `mpirun --bind-to core` or `--bind-to none`, or with `srun --cpu-bind=cores` and --cpus-per-task");
  }
  if (usable < ranks * seen.threads) {
    return slow("processors", concat(found, "; they wait for each other"),
                "fewer ranks on a host, fewer run.threads, or a larger --cpus-per-task");
  }
  if (fewest < static_cast<std::size_t>(seen.threads)) {
    return slow("processors", concat(found, "; a rank may use only ", fewest),
                "bind a rank to as many cores as run.threads");
  }
  if (!seen.avx2) return slow("processors", found, "a machine with AVX2 computes several times as fast");
  return good("processors", found);
}

Line judge_memory(const Memory& seen) {
  std::uint64_t free = seen.available;
  std::string found = concat(human_bytes(seen.available), " of ", human_bytes(seen.total), " available");
  if (seen.group_limit) {
    const std::uint64_t left = *seen.group_limit - std::min(*seen.group_limit, seen.group_used);
    free = std::min(free, left);
    found += concat("; the control group may use ", human_bytes(*seen.group_limit));
  }
  const std::uint64_t need = seen.rank_needs * static_cast<std::uint64_t>(seen.ranks);
  if (need > 0)
    found += concat("; ", seen.ranks, seen.ranks == 1 ? " rank needs " : " ranks need ", human_bytes(need),
                    " and activations");
  const char* advice =
      "more hosts, fewer ranks on each, a larger --mem, or train.activation_checkpointing; "
      "`pathline train --dry-run` shows what takes the memory";
  if (free < std::max(need, 256 * kMiB)) return broken("memory", found, advice);
  if (free < std::max(need + need / 4, 1024 * kMiB)) return slow("memory", concat(found, ": little is left"), advice);
  return good("memory", found);
}

Line judge_shared_memory(const Memory& seen) {
  const auto ranks = static_cast<std::uint64_t>(seen.ranks);
  const std::string found =
      concat(human_bytes(seen.shared_free), " free in /dev/shm for ", seen.ranks, seen.ranks == 1 ? " rank" : " ranks");
  const char* advice =
      "a container needs a larger one: `docker run --shm-size=8g` or --ipc=host; or remove old files there";
  if (seen.ranks > 1 && seen.shared_free < 16 * kMiB * ranks) {
    return broken("shared memory", concat(found, " (MPI and NCCL need it between ranks of a host)"), advice);
  }
  if (seen.ranks > 1 && seen.shared_free < 64 * kMiB * ranks) {
    return slow("shared memory", concat(found, " (NCCL may need 64 MiB a rank)"), advice);
  }
  return good("shared memory", found);
}

Line judge_limits(const Limits& seen) {
  const std::string found =
      concat(seen.open_files == kNoLimit ? std::string("any number of") : concat(seen.open_files),
             " open files, locked memory ", limit_text(seen.locked_memory), ", file size ", limit_text(seen.file_size));
  if (seen.file_size < std::max(seen.largest_file, 64 * kMiB)) {
    return broken("limits", concat(found, "; a checkpoint's file is larger"),
                  "raise it with `ulimit -f unlimited` in the job");
  }
  if (seen.open_files < 256)
    return broken("limits", concat(found, "; connections and files need more"), "raise it with `ulimit -n 65536`");
  if (seen.infiniband && seen.locked_memory < 64 * kMiB) {
    return broken(
        "limits", concat(found, "; InfiniBand cannot register its buffers"),
        "set memlock to unlimited (/etc/security/limits.conf; for Slurm PropagateResourceLimitsExcept=MEMLOCK)");
  }
  if (seen.open_files < 1024)
    return slow("limits", concat(found, "; many ranks need more files"), "raise it with `ulimit -n 65536`");
  return good("limits", found);
}

Line judge_interfaces(const Interfaces& seen) {
  const std::string found = seen.up.empty() ? "none but lo" : core::listed(seen.up);
  if (!names_one(seen.nccl, seen.up)) {
    return broken("interfaces", concat(found, "; NCCL_SOCKET_IFNAME=", seen.nccl, " names none of them"),
                  "set it to one that is there");
  }
  if (!names_all(seen.mpi, seen.up)) {
    return broken("interfaces", concat(found, "; OMPI_MCA_btl_tcp_if_include=", seen.mpi, " names one that is not up"),
                  "set it to one that is there, or to a network (10.0.0.0/8)");
  }
  if (seen.hosts < 2) return good("interfaces", found);
  if (seen.up.empty())
    return broken("interfaces", concat(found, ", but the job has ", seen.hosts, " hosts"), "bring the network up");
  if (!seen.own_name_resolves) {
    return slow("interfaces", concat(found, "; the host's own name does not resolve"), "add it to DNS or /etc/hosts");
  }
  for (const char* bridge : {"docker", "virbr", "br-"}) {
    const bool there = std::any_of(seen.up.begin(), seen.up.end(),
                                   [&](const std::string& name) { return name.rfind(bridge, 0) == 0; });
    if (there && (seen.mpi.empty() || seen.nccl.empty())) {
      return slow("interfaces", concat(found, "; libraries may take the bridge, which reaches no other host, and hang"),
                  "set OMPI_MCA_btl_tcp_if_include and NCCL_SOCKET_IFNAME to the real one");
    }
  }
  return good("interfaces", found);
}

std::string slurm_field(const std::string& description, const std::string& name) {
  const auto place = (" " + description).find(" " + name + "=");
  if (place == std::string::npos) return "";
  const std::string rest = description.substr(place + name.size() + 1);
  return rest.substr(0, rest.find_first_of(" \n"));
}

Line judge_slurm(const SlurmJob& job) {
  std::string found = concat("job ", job.id);
  if (!job.description) {
    return slow("Slurm", concat(found, "; scontrol does not answer here"),
                "without it the job cannot put itself back into the queue: make scontrol visible on the nodes (in "
                "containers too)");
  }
  found += concat(", ", slurm_field(*job.description, "NumNodes"), " nodes, time limit ",
                  slurm_field(*job.description, "TimeLimit"));
  if (job.seconds_left) found += concat(", ", core::human_seconds(*job.seconds_left), " left");
  if (slurm_field(*job.description, "Requeue") == "0") {
    return slow("Slurm", concat(found, "; not to be queued again"),
                "submit with --requeue, so that the job goes on by itself");
  }
  if (job.seconds_left && *job.seconds_left < 600) {
    return slow("Slurm", concat(found, ": too short for much"), "submit with a longer --time");
  }
  return good("Slurm", found);
}

}  // namespace pathline::doctor

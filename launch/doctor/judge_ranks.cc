// SPDX-License-Identifier: Apache-2.0
#include "launch/doctor/judge_ranks.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>

#include "cluster/hang_judge.h"
#include "core/error.h"
#include "core/text.h"

namespace pathline::doctor {
namespace {

using core::concat;

constexpr int kAllPairs = 64;

int number_in(const cluster::Environment& environment, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const char* value = environment(name)) return std::atoi(value);
  }
  return 0;
}

std::string on_host(int rank, std::span<const std::string> hosts) {
  return hosts.empty() ? concat("rank ", rank) : concat("rank ", rank, " on ", hosts[rank]);
}

std::string placement(std::span<const std::string> hosts) {
  std::map<std::string, int> counts;
  for (const auto& host : hosts) ++counts[host];
  const auto [fewest, most] = std::minmax_element(counts.begin(), counts.end(),
                                                  [](const auto& a, const auto& b) { return a.second < b.second; });
  const std::string each =
      fewest->second == most->second ? concat(most->second) : concat(fewest->second, " to ", most->second);
  return counts.size() == 1 ? concat(" on ", counts.begin()->first)
                            : concat(" on ", counts.size(), " hosts, ", each, " on each");
}

/// Neither direction was seen to work, though one of the two has told of it.
bool apart(std::span<const Knocks> all, int a, int b) {
  const auto says_no = [&](int from, int to) {
    const Knocks& knocks = all[from];
    return !knocks.taken.empty() && (!knocks.taken[to] || !knocks.heard[to]);
  };
  return says_no(a, b) || says_no(b, a);
}

}  // namespace

std::string named(std::span<const int> ranks) {
  return concat(ranks.size() == 1 ? "rank " : "ranks ", cluster::rank_ranges(ranks));
}

Launch launch_of(const cluster::Environment& environment) {
  Launch launch;
  launch.rank = number_in(environment, {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"});
  launch.slurm_tasks = number_in(environment, {"SLURM_NTASKS"});
  launch.joined = environment("OMPI_COMM_WORLD_SIZE") || environment("PMIX_RANK") || environment("PMI_RANK");
  if (const int tasks = number_in(environment, {"OMPI_COMM_WORLD_SIZE"}); tasks > 0) {
    launch.launcher = "mpirun";
    launch.tasks = tasks;
  } else if (const int step = number_in(environment, {"SLURM_STEP_NUM_TASKS"}); step > 0) {
    launch.launcher = "srun";
    launch.tasks = step;
  } else if (const int size = number_in(environment, {"PMI_SIZE"}); size > 0) {
    launch.launcher = "mpirun";
    launch.tasks = size;
  }
  return launch;
}

Line judge_ranks(const Launch& launch, int mpi_ranks, std::span<const std::string> hosts) {
  if (launch.tasks > 1 && !launch.joined) {
    return broken("ranks",
                  concat("srun started ", launch.tasks,
                         " tasks without a process manager for MPI: every process "
                         "thinks that it is alone"),
                  "start with `srun --mpi=pmix`, or with mpirun inside the allocation");
  }
  if (launch.tasks != mpi_ranks) {
    return broken(
        "ranks",
        concat(launch.launcher, " started ", launch.tasks, " processes, but MPI counts ", mpi_ranks,
               mpi_ranks == 1 ? ": every process thinks that it is alone" : ""),
        "this program was built with another MPI than the one that starts it: use the mpirun (or the srun plug-in) "
        "of the MPI in the line \"MPI\", or build with the other one");
  }
  if (launch.launcher.empty()) {
    return good("ranks", launch.slurm_tasks > 1
                             ? concat("1, outside mpirun and srun, in an allocation of ", launch.slurm_tasks, " tasks")
                             : "1, without mpirun or srun");
  }
  const std::string found = concat(mpi_ranks, hosts.empty() ? "" : placement(hosts), ", by ", launch.launcher);
  const bool one_a_host = std::set<std::string>(hosts.begin(), hosts.end()).size() == hosts.size();
  if (launch.slurm_tasks > mpi_ranks && !one_a_host) {
    return slow("ranks", concat(found, "; the allocation is for ", launch.slurm_tasks, " tasks"),
                "start as many ranks as the allocation has tasks, unless this is meant");
  }
  return good("ranks", found);
}

Line judge_missing(int ranks, std::span<const int> arrived, double seconds, const std::string& directory) {
  std::vector<int> missing;
  for (int r = 0; r < ranks; ++r) {
    if (std::find(arrived.begin(), arrived.end(), r) == arrived.end()) missing.push_back(r);
  }
  const std::string hung = concat("MPI_Init has not returned after ", core::human_seconds(seconds));
  if (missing.empty() || arrived.empty()) {
    return broken(
        "ranks", concat(hung, missing.empty() ? concat(", although all ", ranks, " ranks have come to it") : ""),
        "look whether the hosts reach each other's launcher daemons (firewall between nodes, wrong interface: "
        "--mca oob_tcp_if_include), and whether all use the same MPI");
  }
  return broken("ranks",
                concat(hung, ": ", named(missing), " of ", ranks, missing.size() == 1 ? " has" : " have", " not come"),
                concat("look at the host of ", named(missing),
                       ": is the process running, is it stopped, does it find its "
                       "libraries, does it see ",
                       directory, "?"));
}

std::vector<int> partners_of(int rank, int ranks) {
  std::set<int> partners;
  for (int distance = 1; distance < ranks; distance = ranks <= kAllPairs ? distance + 1 : 2 * distance) {
    partners.insert((rank + distance) % ranks);
    partners.insert((rank - distance + ranks) % ranks);
  }
  return {partners.begin(), partners.end()};
}

Line judge_reach(std::span<const Knocks> all, std::span<const std::string> hosts, double seconds) {
  const int ranks = static_cast<int>(all.size());
  const char* advice =
      "look at that rank's process and host: stopped, overloaded, gone? Otherwise at the network between the hosts: "
      "link, "
      "firewall, and the interface that MPI takes (--mca btl_tcp_if_include eth0; never docker0)";
  std::vector<int> silent;
  std::vector<std::string> silent_names, pairs;
  for (int r = 0; r < ranks; ++r) {
    if (!all[r].taken.empty()) continue;
    silent.push_back(r);
    silent_names.push_back(on_host(r, hosts));
  }
  for (int a = 0; a < ranks; ++a) {
    for (const int b : partners_of(a, ranks)) {
      if (a > b || all[a].taken.empty() || all[b].taken.empty() || !apart(all, a, b)) continue;
      pairs.push_back(concat(on_host(a, hosts), " and ", on_host(b, hosts)));
    }
  }
  if (silent.empty() && pairs.empty()) {
    const char* which =
        ranks <= kAllPairs ? "every rank reaches every other" : "every rank reaches those 1, 2, 4 ... away";
    return good("ranks reach each other", which);
  }
  const std::size_t count = pairs.size();
  if (count > 8) pairs.resize(8);
  if (silent_names.size() > 8) silent_names = {named(silent)};
  std::string found = silent.empty() ? ""
                                     : concat(core::listed(silent_names), silent.size() == 1 ? " does" : " do",
                                              " not answer within ", core::human_seconds(seconds));
  if (count > 0) found += concat(found.empty() ? "" : "; ", "no message passes between ", core::listed(pairs));
  if (count > pairs.size()) found += concat(" and ", count - pairs.size(), " more pairs");
  return broken("ranks reach each other", found, advice);
}

Line judge_clocks(std::span<const double> skew, std::span<const std::string> hosts) {
  const auto worst =
      std::max_element(skew.begin(), skew.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
  const double most = std::abs(*worst);
  const std::string whose = on_host(static_cast<int>(worst - skew.begin()), hosts);
  const char* advice = "let a time service (chrony, ntpd) set the hosts' clocks";
  if (most > 60)
    return broken("clocks",
                  concat(core::human_seconds(most), " between rank 0 and ", whose, "; munge and certificates fail"),
                  advice);
  if (most > 1)
    return slow("clocks", concat(core::human_seconds(most), " between rank 0 and ", whose, "; logs cannot be compared"),
                advice);
  return good("clocks", "the hosts agree to a second");
}

Line judge_all_reduce(const AllReduce& seen) {
  const double rate = seen.bytes_per_second;
  const std::string found = concat("latency ", std::round(seen.latency_seconds * 1e7) / 10, " us, ",
                                   std::round(rate / 1e7) / 100, " GB/s a rank each way (host memory, MPI)");
  const char* advice =
      seen.hosts == 1
          ? "give every rank a core of its own (mpirun --bind-to core, srun --cpu-bind=cores); look at what "
            "else runs here"
          : "look which interface MPI takes (--mca btl_tcp_if_include, UCX_NET_DEVICES) and what else uses it";
  const double expected = seen.hosts == 1 ? 0.3e9 : 0.25 * seen.link_bytes_per_second.value_or(0.4e9);
  const double slowest_latency = seen.hosts == 1 ? 200e-6 : 1e-3;
  if (rate < expected) {
    return slow("all-reduce", concat(found, "; at least ", std::round(expected / 1e7) / 100, " GB/s is usual here"),
                advice);
  }
  if (seen.latency_seconds > slowest_latency) {
    return slow("all-reduce", concat(found, "; at most ", slowest_latency * 1e6, " us is usual here"), advice);
  }
  return good("all-reduce", found);
}

}  // namespace pathline::doctor

// SPDX-License-Identifier: Apache-2.0
#include "launch/doctor/host_probe.h"

#include <glob.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "core/machine.h"
#include "core/text.h"

namespace pathline::doctor {
namespace {

std::string text_of_file(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The first number in a file; empty for "max", -1 (unknown speed) and missing files.
std::optional<std::uint64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::int64_t number = 0;
  if (!(file >> number) || number < 0) return std::nullopt;
  return static_cast<std::uint64_t>(number);
}

std::uint64_t kibibytes_of(const std::string& meminfo, const std::string& key) {
  const auto place = meminfo.find(key + ":");
  return place == std::string::npos ? 0 : std::strtoull(meminfo.c_str() + place + key.size() + 1, nullptr, 10) * 1024;
}

std::vector<std::string> matching(const std::string& pattern) {
  glob_t found = {};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return paths;
}

/// Directories of this process's control group and of those above it: version 2, or one controller of version 1.
std::vector<std::string> group_directories(const std::string& group, const std::string& root,
                                           const std::string& controller) {
  std::vector<std::string> directories;
  std::istringstream lines(group);
  for (std::string line; std::getline(lines, line);) {  // "0::/system.slice/x", "4:cpu,cpuacct:/slurm/job_7"
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const auto controllers = core::split(line.substr(first + 1, second - first - 1), ',');
    const bool version_2 = controllers.empty();
    if (!version_2 && std::find(controllers.begin(), controllers.end(), controller) == controllers.end()) continue;
    const std::string base = version_2 ? root : root + "/" + controller;
    for (std::string path = line.substr(second + 1);; path.erase(path.rfind('/'))) {
      directories.push_back(base + (path == "/" ? "" : path));
      if (path.find('/') == std::string::npos) break;
    }
  }
  return directories;
}

std::uint64_t limit_of(__rlimit_resource_t resource) {
  rlimit limit = {};
  return ::getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur : kNoLimit;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

/// What a command writes; empty if it fails or takes longer than 10 seconds.
std::optional<std::string> output_of(const std::string& command) {
  FILE* pipe = ::popen(("timeout 10 " + command + " 2>/dev/null").c_str(), "re");
  if (!pipe) return std::nullopt;
  std::string text;
  std::array<char, 4096> bytes{};
  while (const std::size_t count = ::fread(bytes.data(), 1, bytes.size(), pipe)) text.append(bytes.data(), count);
  return ::pclose(pipe) == 0 ? std::optional(text) : std::nullopt;
}

/// Slurm's local time "2026-11-23T12:30:00"; empty for "Unknown".
std::optional<double> seconds_until(const std::string& end_time) {
  tm broken_down = {};
  if (!::strptime(end_time.c_str(), "%Y-%m-%dT%H:%M:%S", &broken_down)) return std::nullopt;
  broken_down.tm_isdst = -1;
  return static_cast<double>(::mktime(&broken_down)) - core::wall_seconds();
}

}  // namespace

std::vector<int> allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

Processors look_at_processors(std::vector<std::vector<int>> allowed, int threads) {
  Processors seen;
  seen.online = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  seen.allowed = std::move(allowed);
  seen.threads = threads;
  seen.quota = group_cores(text_of_file("/proc/self/cgroup"), "/sys/fs/cgroup");
  const std::string flags = text_of_file("/proc/cpuinfo");
  seen.avx2 = flags.find(" avx2") != std::string::npos;
  seen.avx512 = flags.find(" avx512f") != std::string::npos;
  return seen;
}

GroupMemory group_memory(const std::string& group, const std::string& root) {
  GroupMemory memory;
  for (const auto& directory : group_directories(group, root, "memory")) {
    auto limit = number_in(directory + "/memory.max");
    auto used = number_in(directory + "/memory.current");
    if (!limit)
      limit = number_in(directory + "/memory.limit_in_bytes"), used = number_in(directory + "/memory.usage_in_bytes");
    const bool none = !limit || *limit >= std::uint64_t{1} << 62;  // version 1 writes a huge number for none
    if (none || (memory.limit && *memory.limit <= *limit)) continue;
    memory = {limit, used.value_or(0)};
  }
  return memory;
}

double group_cores(const std::string& group, const std::string& root) {
  double fewest = 0;
  for (const auto& directory : group_directories(group, root, "cpu")) {
    double quota = 0, period = 0;
    std::ifstream both(directory + "/cpu.max");
    if (!(both >> quota >> period)) {
      quota = static_cast<double>(number_in(directory + "/cpu.cfs_quota_us").value_or(0));
      period = static_cast<double>(number_in(directory + "/cpu.cfs_period_us").value_or(0));
    }
    if (quota > 0 && period > 0 && (fewest == 0 || quota / period < fewest)) fewest = quota / period;
  }
  return fewest;
}

Memory look_at_memory(int ranks, std::uint64_t rank_needs) {
  Memory memory;
  const std::string meminfo = text_of_file("/proc/meminfo");
  memory.total = kibibytes_of(meminfo, "MemTotal");
  memory.available = kibibytes_of(meminfo, "MemAvailable");
  const GroupMemory group = group_memory(text_of_file("/proc/self/cgroup"), "/sys/fs/cgroup");
  memory.group_limit = group.limit;
  memory.group_used = group.used;
  struct statvfs shared = {};
  if (::statvfs("/dev/shm", &shared) == 0) memory.shared_free = shared.f_bavail * shared.f_frsize;
  memory.ranks = ranks;
  memory.rank_needs = rank_needs;
  return memory;
}

Limits look_at_limits(std::uint64_t largest_file) {
  return {.open_files = limit_of(RLIMIT_NOFILE),
          .locked_memory = limit_of(RLIMIT_MEMLOCK),
          .file_size = limit_of(RLIMIT_FSIZE),
          .largest_file = largest_file,
          .infiniband = !matching("/dev/infiniband/uverbs*").empty()};
}

Interfaces look_at_interfaces(int hosts) {
  Interfaces seen;
  seen.hosts = hosts;
  seen.nccl = environment("NCCL_SOCKET_IFNAME");
  seen.mpi = environment("OMPI_MCA_btl_tcp_if_include");
  std::set<std::string> up;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) == 0) {
    for (const ifaddrs* one = all; one; one = one->ifa_next) {
      const bool internet =
          one->ifa_addr && (one->ifa_addr->sa_family == AF_INET || one->ifa_addr->sa_family == AF_INET6);
      if (internet && (one->ifa_flags & IFF_UP) && !(one->ifa_flags & IFF_LOOPBACK)) up.insert(one->ifa_name);
    }
    ::freeifaddrs(all);
  }
  seen.up.assign(up.begin(), up.end());
  if (hosts < 2) return seen;  // the name matters to other hosts only, and asking may take long
  addrinfo* found = nullptr;
  seen.own_name_resolves = ::getaddrinfo(core::host_name().c_str(), nullptr, nullptr, &found) == 0;
  if (found) ::freeaddrinfo(found);
  return seen;
}

std::optional<double> link_bytes_per_second() {
  double fastest = 0;
  for (const auto& path : matching("/sys/class/net/*/speed")) {  // Mb/s
    fastest = std::max(fastest, static_cast<double>(number_in(path).value_or(0)) * 1e6 / 8);
  }
  for (const auto& path : matching("/sys/class/infiniband/*/ports/*/rate")) {  // "100 Gb/sec (4X EDR)"
    fastest = std::max(fastest, static_cast<double>(number_in(path).value_or(0)) * 1e9 / 8);
  }
  return fastest > 0 ? std::optional(fastest) : std::nullopt;
}

std::optional<SlurmJob> look_at_slurm() {
  SlurmJob job;
  job.id = environment("SLURM_JOB_ID");
  if (job.id.empty() || job.id.find_first_not_of("0123456789_") != std::string::npos) return std::nullopt;
  job.description = output_of("scontrol show job -o " + job.id);
  if (job.description) job.seconds_left = seconds_until(slurm_field(*job.description, "EndTime"));
  return job;
}

}  // namespace pathline::doctor

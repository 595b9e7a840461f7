// SPDX-License-Identifier: Apache-2.0
#include "cluster/topology.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <set>

#include "core/machine.h"

namespace pathline::cluster {
namespace {

constexpr std::size_t kNameBytes = 256;  // POSIX: at most 255 and a zero

}  // namespace

Topology topology_of(int rank, std::span<const std::string> hosts) {
  Topology topology;
  topology.hosts.assign(hosts.begin(), hosts.end());
  topology.host_count = static_cast<int>(std::set<std::string>(hosts.begin(), hosts.end()).size());
  const auto same_host = [&](std::span<const std::string> some) {
    return static_cast<int>(std::count(some.begin(), some.end(), hosts[rank]));
  };
  topology.local_rank = same_host(hosts.first(rank));
  topology.local_size = same_host(hosts);
  return topology;
}

Topology find_topology(Communicator& ranks) {
  const std::string name = core::host_name();
  std::array<char, kNameBytes> mine{};
  std::copy(name.begin(), name.end(), mine.begin());
  std::vector<char> all(ranks.size() * kNameBytes);
  ranks.all_gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all)));
  std::vector<std::string> hosts;
  for (int r = 0; r < ranks.size(); ++r) hosts.emplace_back(&all[r * kNameBytes]);
  return topology_of(ranks.rank(), hosts);
}

}  // namespace pathline::cluster

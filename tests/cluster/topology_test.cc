// SPDX-License-Identifier: Apache-2.0
#include "cluster/topology.h"

#include <gtest/gtest.h>

namespace pathline::cluster {
namespace {

TEST(Topology, CountsRanksOfTheSameHostInRankOrder) {
  const std::vector<std::string> hosts = {"a", "b", "a", "b", "b"};  // dealt out cyclically
  const Topology topology = topology_of(3, hosts);
  EXPECT_EQ(topology.hosts, hosts);
  EXPECT_EQ(topology.host_count, 2);
  EXPECT_EQ(topology.local_rank, 1);
  EXPECT_EQ(topology.local_size, 3);
  EXPECT_EQ(topology_of(2, hosts).local_rank, 1);
  EXPECT_EQ(topology_of(2, hosts).local_size, 2);
}

}  // namespace
}  // namespace pathline::cluster

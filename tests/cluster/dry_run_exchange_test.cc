// SPDX-License-Identifier: Apache-2.0
#include "cluster/dry_run_exchange.h"

#include <gtest/gtest.h>

#include "cluster/block_layout.h"

namespace pathline::cluster {
namespace {

/// Bytes of all ranks for all buckets.
struct Total {
  Traffic reduce, gather;
};

Total total_of(const ExchangePlan& plan) {
  Total total;
  for (int rank = 0; rank < static_cast<int>(plan.hosts.size()); ++rank) {
    const RankExchange exchange = dry_run_exchange(plan, rank);
    for (const Traffic& traffic : exchange.reduce) total.reduce += traffic;
    for (const Traffic& traffic : exchange.gather) total.gather += traffic;
  }
  return total;
}

ExchangePlan plan_of(int ranks, int per_node, std::size_t blocks) {
  ExchangePlan plan;
  plan.buckets = {{0, blocks * kBlock}, {blocks * kBlock, 3 * blocks * kBlock}};
  plan.hosts = hosts_of(ranks, per_node);
  plan.slices = ranks;
  return plan;
}

/// A hierarchical reduce-scatter of P numbers sends P (H - 1) / H out of each of H nodes, and P (g - 1) / g from each
/// of its g ranks to the others; a hierarchical gather sends the same back.
TEST(DryRunExchange, OnTwoLevelsIsAHierarchicalReduceScatterAndGather) {
  for (const auto& [nodes, per_node] : {std::pair{2, 4}, {4, 2}, {8, 8}}) {
    ExchangePlan plan = plan_of(nodes * per_node, per_node, static_cast<std::size_t>(nodes * per_node));
    plan.parameter_bytes = 2;
    const Total total = total_of(plan);
    const auto elements = static_cast<std::int64_t>(plan.buckets.back().end);
    EXPECT_EQ(total.reduce.bytes_between_nodes, 4 * elements * (nodes - 1));
    EXPECT_EQ(total.reduce.bytes_within_nodes, 4 * elements * (per_node - 1) * nodes);
    EXPECT_EQ(total.gather.bytes_between_nodes, 2 * elements * (nodes - 1));
    EXPECT_EQ(total.gather.bytes_within_nodes, 2 * elements * (per_node - 1) * nodes);
  }
}

TEST(DryRunExchange, OfOneRankSendsNothing) {
  const Total total = total_of(plan_of(1, 1, 3));
  EXPECT_EQ(total.reduce.bytes_within_nodes + total.reduce.bytes_between_nodes, 0);
  EXPECT_EQ(total.gather.bytes_within_nodes + total.gather.bytes_between_nodes, 0);
}

/// Eight slices on three ranks: {0, 1}, {2, 3} {4}, {5} {6, 7} are the complete subtrees.
TEST(DryRunExchange, SendsEveryCoveringSubtreeWhereRanksDoNotDivideTheSlices) {
  ExchangePlan plan = plan_of(3, 3, 3);
  plan.slices = 8;
  const auto elements = static_cast<std::int64_t>(plan.buckets.back().end);
  EXPECT_EQ(total_of(plan).reduce.bytes_within_nodes, (1 + 2 + 2) * 4 * elements * 2 / 3);
}

TEST(DryRunExchange, InTheFastestOrderSendsEverythingButOnePart) {
  ExchangePlan plan = plan_of(4, 4, 4);
  plan.fastest = true;
  const auto elements = static_cast<std::int64_t>(plan.buckets.back().end);
  EXPECT_EQ(total_of(plan).reduce.bytes_within_nodes, 3 * 4 * elements);
  EXPECT_EQ(total_of(plan).reduce.messages, 2 * 4 * 3);  // buckets, ranks, steps of the ring
}

}  // namespace
}  // namespace pathline::cluster

// SPDX-License-Identifier: Apache-2.0
#include "cluster/dry_run_communicator.h"

#include <gtest/gtest.h>

#include <vector>

#include "cluster/block_layout.h"
#include "cluster/reduction_tree.h"
#include "cluster/shard_reducer.h"

namespace pathline::cluster {
namespace {

const std::vector<std::string> kTwoNodes = {"a", "a", "b", "b"};

template <class T>
std::span<std::byte> bytes_of(std::vector<T>& values) {
  return std::as_writable_bytes(std::span(values));
}

TEST(DryRunCommunicator, CountsWhatGoesToEachSideOfTheNodesBorder) {
  WireLedger ledger;
  const auto ranks = make_dry_run_communicator(1, kTwoNodes, ledger);
  EXPECT_EQ(ranks->rank(), 1);
  EXPECT_EQ(ranks->size(), 4);
  std::vector<std::byte> to_a(3), to_self(5), to_b(7), to_b_too(11), received(5);
  const std::vector<std::span<const std::byte>> send = {to_a, to_self, to_b, to_b_too};
  const std::vector<std::span<std::byte>> receive = {{}, received, {}, {}};
  ranks->all_to_all(send, receive);
  EXPECT_EQ(ledger.calls, 1);
  EXPECT_EQ(ledger.messages, 3);
  EXPECT_EQ(ledger.bytes_within_nodes, 3);
  EXPECT_EQ(ledger.bytes_between_nodes, 18);
}

TEST(DryRunCommunicator, GathersOwnPartAndLeavesTheOthers) {
  WireLedger ledger;
  const auto ranks = make_dry_run_communicator(2, kTwoNodes, ledger);
  std::vector<std::int32_t> mine = {7}, all = {-1, -1, -1, -1};
  ranks->all_gather(bytes_of(mine), bytes_of(all));
  EXPECT_EQ(all, (std::vector<std::int32_t>{-1, -1, 7, -1}));
  const std::vector<std::size_t> offsets = {0, 4, 4, 12, 16};
  ranks->all_gather_in_place(bytes_of(all), offsets);
  EXPECT_EQ(all, (std::vector<std::int32_t>{-1, -1, 7, -1}));
}

/// Ranks of a ring pass on everything but the part that the next one has.
TEST(DryRunCommunicator, TheRanksOfAGatherSendTogetherWhatTheyReceiveTogether) {
  const std::vector<std::size_t> offsets = {0, 5, 5, 20, 24};
  std::int64_t within = 0, between = 0;
  for (int r = 0; r < 4; ++r) {
    WireLedger ledger;
    std::vector<std::byte> all(24);
    make_dry_run_communicator(r, kTwoNodes, ledger)->all_gather_in_place(all, offsets);
    within += ledger.bytes_within_nodes;
    between += ledger.bytes_between_nodes;
  }
  EXPECT_EQ(within + between, 3 * 24);       // everybody receives what it does not own
  EXPECT_EQ(between, (24 - 15) + (24 - 5));  // 1 -> 2 and 3 -> 0
}

TEST(DryRunCommunicator, ReductionsTakeTheOthersForZero) {
  WireLedger ledger;
  const auto ranks = make_dry_run_communicator(3, kTwoNodes, ledger);
  const std::vector<float> in = {1, 2, 3, 4, 5, 6};
  const std::vector<std::size_t> offsets = {0, 1, 2, 4, 6};
  std::vector<float> out(2);
  ranks->reduce_scatter(in, offsets, out);
  EXPECT_EQ(out, (std::vector<float>{5, 6}));
  EXPECT_EQ(ledger.bytes_between_nodes, 16);  // 3 -> 0
  std::int64_t flags = 6;
  const auto request = ranks->start_all_reduce(std::span(&flags, 1), Reduction::kBitOr);
  EXPECT_TRUE(request->done());
  EXPECT_EQ(flags, 6);
}

TEST(DryRunCommunicator, SubsetsCountIntoTheSameLedgerWithTheirOwnNodes) {
  WireLedger ledger;
  const auto ranks = make_dry_run_communicator(2, kTwoNodes, ledger);
  const std::vector<int> columns = {2, 0};
  const auto column = ranks->subset(columns);
  EXPECT_EQ(column->rank(), 0);
  EXPECT_EQ(column->size(), 2);
  std::vector<std::byte> message(9);
  const std::vector<std::span<const std::byte>> send = {{}, message};
  const std::vector<std::span<std::byte>> receive(2);
  column->all_to_all(send, receive);
  EXPECT_EQ(ledger.bytes_between_nodes, 9);
  EXPECT_EQ(ledger.bytes_within_nodes, 0);
}

/// Bytes that the ranks of `hosts` hosts with `per_host` ranks each send for one bucket of `elements`.
WireLedger& count_reduction(WireLedger& ledger, const Levels& levels, std::size_t elements, std::int64_t slices,
                            int world) {
  for (int rank = 0; rank < world; ++rank) {
    std::vector<std::string> hosts;
    for (int r = 0; r < world; ++r) hosts.push_back("node" + std::to_string(r / 4));
    const auto ranks = make_dry_run_communicator(rank, hosts, ledger);
    const ShardMap map({{0, elements}}, levels, rank, world);
    const auto reducer = make_tree_reducer(*ranks, host_array_math(), map, slices);
    std::vector<float> partial(elements, 1.0f);
    const std::vector<std::span<const float>> partials = {partial};
    std::vector<float> own(map.own_elements());
    reducer->reduce(0, partials, own, {});
  }
  return ledger;
}

/// The oracle of planning: on one level every rank sends each other shard once, in fp32.
TEST(DryRunCommunicator, TheTreeSendsEveryOtherShardOnce) {
  constexpr std::size_t kElements = 16 * kBlock;
  WireLedger ledger;
  count_reduction(ledger, Levels{1, 8}, kElements, 8, 8);
  EXPECT_EQ(ledger.bytes_within_nodes, 8 * 3 * 4 * (kElements / 8));
  EXPECT_EQ(ledger.bytes_between_nodes, 8 * 4 * 4 * (kElements / 8));
}

/// A hierarchical reduce-scatter sends P (H - 1) / H numbers out of every host.
TEST(DryRunCommunicator, TwoLevelsSendAHierarchicalReduceScattersBytesBetweenNodes) {
  for (const int hosts : {2, 4}) {
    const int world = 4 * hosts;
    const std::size_t elements = 3 * static_cast<std::size_t>(world) * kBlock;
    WireLedger ledger;
    count_reduction(ledger, Levels{hosts, 4}, elements, 2 * world, world);
    EXPECT_EQ(ledger.bytes_between_nodes, hosts * (elements * 4 / hosts * (hosts - 1)));
    EXPECT_EQ(ledger.bytes_within_nodes, world * (elements * 4 / 4 * 3));
  }
}

}  // namespace
}  // namespace pathline::cluster

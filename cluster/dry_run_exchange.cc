// SPDX-License-Identifier: Apache-2.0
#include "cluster/dry_run_exchange.h"

#include <algorithm>
#include <memory>

#include "cluster/dry_run_communicator.h"
#include "cluster/shard_reducer.h"
#include "cluster/topology.h"
#include "core/error.h"

namespace pathline::cluster {
namespace {

/// Arithmetic that does nothing, on memory that is reserved and never touched.
class DryRunMath final : public ArrayMath {
 public:
  Memory allocate(std::size_t bytes) override {
    return {new std::byte[bytes], [](std::byte* memory) { delete[] memory; }};
  }
  void copy(std::span<const float>, std::span<float>) override {}
  void add(std::span<const float>, std::span<const float>, std::span<float>) override {}
  void sum_squares(std::span<const float>, std::span<double>) override {}
  void add_and_sum_squares(std::span<const float>, std::span<const float>, std::span<float>,
                           std::span<double>) override {}
  void finish() override {}
};

/// What was counted since `before`.
Traffic since(const WireLedger& ledger, Traffic& before) {
  const Traffic now{ledger.messages, ledger.bytes_within_nodes, ledger.bytes_between_nodes};
  const Traffic change{now.messages - before.messages, now.bytes_within_nodes - before.bytes_within_nodes,
                       now.bytes_between_nodes - before.bytes_between_nodes};
  before = now;
  return change;
}

Levels levels_for(const ExchangePlan& plan) {
  const int world = static_cast<int>(plan.hosts.size());
  return plan.fastest ? Levels{1, world} : levels_of(topology_of(0, plan.hosts));
}

}  // namespace

Traffic& Traffic::operator+=(const Traffic& other) {
  messages += other.messages;
  bytes_within_nodes += other.bytes_within_nodes;
  bytes_between_nodes += other.bytes_between_nodes;
  return *this;
}

RankExchange dry_run_exchange(const ExchangePlan& plan, int rank) {
  const int world = static_cast<int>(plan.hosts.size());
  const ShardMap map(plan.buckets, levels_for(plan), rank, world);
  WireLedger ledger;
  DryRunMath math;
  const auto ranks = make_dry_run_communicator(rank, plan.hosts, ledger);
  const auto reducer =
      plan.fastest ? make_fastest_reducer(*ranks, math, map) : make_tree_reducer(*ranks, math, map, plan.slices);
  RankExchange exchange;
  exchange.fold_plan = reducer->fold_plan(slices_of(rank, world, plan.slices));
  const auto& fold = exchange.fold_plan;
  const std::size_t partials = fold.empty() ? 0 : static_cast<std::size_t>(fold.back().buffer + 1 - fold.back().merges);
  std::size_t longest = 0;
  for (const Range& bucket : plan.buckets) longest = std::max(longest, bucket.size());
  const auto memory = std::make_unique_for_overwrite<float[]>(longest);  // stands for everything; nothing is added

  Traffic before;
  since(ledger, before);  // making the reducer is not part of a step
  for (std::size_t b = 0; b < map.buckets(); ++b) {
    exchange.own.push_back(map.own(b).range);
    const std::span<float> bucket(memory.get(), map.bucket(b).size());
    const std::vector<std::span<const float>> sums(partials, bucket);
    reducer->reduce(b, sums, bucket.first(map.own(b).range.size()), {});
    exchange.reduce.push_back(since(ledger, before));
    if (world > 1) {
      reducer->gather(b, {reinterpret_cast<std::byte*>(memory.get()), bucket.size() * plan.parameter_bytes},
                      plan.parameter_bytes);
    }
    exchange.gather.push_back(since(ledger, before));
  }
  exchange.staging_bytes = reducer->bytes();
  return exchange;
}

std::vector<std::string> hosts_of(int ranks, int per_node) {
  std::vector<std::string> hosts;
  for (int r = 0; r < ranks; ++r) hosts.push_back("node" + std::to_string(r / per_node));
  return hosts;
}

}  // namespace pathline::cluster

// SPDX-License-Identifier: Apache-2.0
// Reduction along the fixed tree, on one level or two.
// Note [Two levels, one tree]: the slices of a host are one range. Its ranks first add up the covering nodes of that
// range, each for a part of the bucket; then ranks with the same number on their hosts complete the tree for theirs.
// Which sums are made depends on the tree alone, so levels change where additions happen, not a bit of the result; and
// what crosses between hosts is one partial a host instead of one a rank.
#include "cluster/shard_gather.h"
#include "cluster/shard_reducer.h"
#include "cluster/tree_reduce.h"
#include "core/error.h"

namespace pathline::cluster {
namespace {

class TreeReducer final : public ShardReducer {
 public:
  TreeReducer(Communicator& ranks, ArrayMath& math, const ShardMap& map, std::int64_t slices)
      : math_(math),
        map_(map),
        ranks_(ranks, map),
        scratch_(math),
        host_sums_(math),
        all_(whole_stage(map.world(), slices)) {
    if (!map.levels().two()) return;
    const int per_host = map.levels().per_host, host = map.rank() / per_host;
    on_host_ = {slices, {all_.ranges.begin() + host * per_host, all_.ranges.begin() + (host + 1) * per_host}};
    across_.slices = slices;
    for (int h = 0; h < map.levels().hosts; ++h) {
      across_.ranges.push_back({all_.ranges[h * per_host].first, all_.ranges[(h + 1) * per_host - 1].last});
    }
  }

  std::vector<FoldStep> fold_plan(SliceRange own) const override { return cluster::fold_plan(own, all_.slices); }

  void reduce(std::size_t b, Partials partials, std::span<float> own, std::span<double> squares) override {
    const auto offsets = map_.offsets(b);
    if (!map_.levels().two()) {
      tree_reduce(ranks_.host(), math_, all_, partials, offsets, std::span(&own, 1), squares, scratch_);
      return;
    }
    const auto locals = offsets_of_locals(offsets, map_.levels());
    const int local = ranks_.host().rank();
    const std::size_t part = locals[local + 1] - locals[local];
    const std::size_t nodes = covering_nodes(on_host_.all(), all_.slices).size();
    const auto memory = host_sums_.at_least(nodes * part);
    std::vector<std::span<float>> sums;
    for (std::size_t n = 0; n < nodes; ++n) sums.push_back(memory.subspan(n * part, part));
    tree_reduce(ranks_.host(), math_, on_host_, partials, locals, sums, {}, scratch_);
    const std::vector<std::span<const float>> host_partials(sums.begin(), sums.end());
    tree_reduce(ranks_.across(), math_, across_, host_partials, offsets_within(offsets, map_.levels(), local),
                std::span(&own, 1), squares, scratch_);
  }

  void gather(std::size_t b, std::span<std::byte> bucket, std::size_t element_bytes) override {
    ranks_.gather(b, bucket, element_bytes);
  }

  void cancel() override { ranks_.cancel(); }

  std::size_t bytes() const override {
    return scratch_.incoming.bytes() + scratch_.outgoing.bytes() + host_sums_.bytes();
  }

 private:
  ArrayMath& math_;
  const ShardMap& map_;
  LevelRanks ranks_;
  ReduceScratch scratch_;
  Scratch host_sums_;  // (covering nodes of the host's slices, its ranks' part)
  TreeStage all_, on_host_, across_;
};

}  // namespace

std::unique_ptr<ShardReducer> make_tree_reducer(Communicator& ranks, ArrayMath& math, const ShardMap& map,
                                                std::int64_t slices) {
  PL_ASSERT(ranks.size() == map.world());
  return std::make_unique<TreeReducer>(ranks, math, map, slices);
}

}  // namespace pathline::cluster

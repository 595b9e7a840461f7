// SPDX-License-Identifier: Apache-2.0
// Reduction in the library's own order: whatever is fastest, not the same bits on another number of ranks.
#include "cluster/shard_gather.h"
#include "cluster/shard_reducer.h"
#include "core/error.h"

namespace pathline::cluster {
namespace {

class FastestReducer final : public ShardReducer {
 public:
  FastestReducer(Communicator& ranks, ArrayMath& math, const ShardMap& map)
      : math_(math), map_(map), ranks_(ranks, map), sum_(math) {
    PL_ASSERT(!map.levels().two());  // the library knows the network better
  }

  /// One buffer: every slice is added to the sum so far.
  std::vector<FoldStep> fold_plan(SliceRange own) const override {
    std::vector<FoldStep> plan(static_cast<std::size_t>(own.size()), FoldStep{1, 1});
    if (!plan.empty()) plan.front() = {0, 0};
    return plan;
  }

  void reduce(std::size_t b, std::span<const std::span<const float>> partials, std::span<float> own,
              std::span<double> squares) override {
    PL_ASSERT(partials.size() == 1);
    if (map_.world() > 1) {
      const auto sum = sum_.at_least(own.size());  // the library may not write where it reads
      ranks_.host().reduce_scatter(partials[0], map_.offsets(b), sum);
      math_.copy(sum, own);
    } else if (own.data() != partials[0].data()) {
      math_.copy(partials[0], own);
    }
    if (!squares.empty()) math_.sum_squares(own, squares);
  }

  void gather(std::size_t b, std::span<std::byte> bucket, std::size_t element_bytes) override {
    ranks_.gather(b, bucket, element_bytes);
  }

  void cancel() override { ranks_.cancel(); }

  std::size_t bytes() const override { return sum_.bytes(); }

 private:
  ArrayMath& math_;
  const ShardMap& map_;
  LevelRanks ranks_;
  Scratch sum_;
};

}  // namespace

std::unique_ptr<ShardReducer> make_fastest_reducer(Communicator& ranks, ArrayMath& math, const ShardMap& map) {
  return std::make_unique<FastestReducer>(ranks, math, map);
}

}  // namespace pathline::cluster

// SPDX-License-Identifier: Apache-2.0
#include "cluster/tree_reduce.h"

#include <algorithm>
#include <vector>

#include "cluster/block_layout.h"
#include "core/error.h"

namespace pathline::cluster {
namespace {

/// One reduction, worked through in rounds: in round k every rank receives elements [k chunk, (k + 1) chunk) of its
/// shard from all others, for all their nodes.
class TreeReduction {
 public:
  TreeReduction(Communicator& ranks, ArrayMath& math, const TreeStage& stage, Partials partials,
                std::span<const std::size_t> shards, ReduceScratch& scratch, std::size_t staging_bytes)
      : ranks_(ranks), math_(math), me_(ranks.rank()), world_(ranks.size()), partials_(partials), shards_(shards) {
    for (int r = 0; r < world_; ++r) {
      node_begin_.push_back(nodes_.size());
      for (const TreeNode node : covering_nodes(stage.ranges[r], stage.slices)) nodes_.push_back(node);
    }
    node_begin_.push_back(nodes_.size());
    PL_ASSERT(partials.size() == nodes_of(me_));
    for (int r = 0; r < world_; ++r) longest_ = std::max(longest_, shards[r + 1] - shards[r]);
    plan_ = completion_plan(nodes_, stage.slices);
    chunk_ = chunk_for(staging_bytes);
    if (world_ > 1 || nodes_.size() > 1) staged_ = scratch.incoming.at_least(nodes_.size() * chunk_);
    if (world_ > 1 && partials.size() > 1) outgoing_ = scratch.outgoing.at_least(world_ * partials.size() * chunk_);
  }

  void run(std::span<const std::span<float>> out, std::span<double> squares) {
    PL_ASSERT(out.size() == plan_.results.size() && (squares.empty() || out.size() == 1));
    for (std::size_t begin = 0; begin < longest_; begin += chunk_) {
      if (world_ > 1) exchange(begin);
      complete(begin, out, squares);
    }
  }

 private:
  std::size_t nodes_of(int rank) const { return node_begin_[rank + 1] - node_begin_[rank]; }

  /// Equal on all ranks, as the rounds must be.
  std::size_t chunk_for(std::size_t staging_bytes) const {
    std::size_t most = 1;
    for (int r = 0; r < world_; ++r) most = std::max(most, nodes_of(r));
    const std::size_t pieces = nodes_.size() + (most > 1 ? world_ * most : 0);
    const std::size_t wished = staging_bytes / sizeof(float) / pieces;
    return std::clamp(padded_size(wished), kBlock, std::max(kBlock, padded_size(longest_)));
  }

  /// Elements of rank r's shard in the round that starts at `begin`.
  std::size_t length_of(int rank, std::size_t begin) const {
    const std::size_t shard = shards_[rank + 1] - shards_[rank];
    return begin < shard ? std::min(chunk_, shard - begin) : 0;
  }

  /// A message is gapless, so the pieces of one rank lie `length` apart from where its first one is staged.
  std::span<float> place_of(std::size_t node, std::size_t length) {
    const auto first = *(std::upper_bound(node_begin_.begin(), node_begin_.end(), node) - 1);
    return staged_.subspan(first * chunk_ + (node - first) * length, length);
  }

  /// The pieces for rank r one after the other; a single one is sent from where it is.
  std::span<const float> message_to(int rank, std::size_t begin) {
    const std::size_t length = length_of(rank, begin);
    if (partials_.empty() || length == 0) return {};
    const std::size_t from = shards_[rank] + begin;
    if (partials_.size() == 1) return partials_[0].subspan(from, length);
    const auto message = outgoing_.subspan(rank * partials_.size() * chunk_, partials_.size() * length);
    for (std::size_t p = 0; p < partials_.size(); ++p) {
      math_.copy(partials_[p].subspan(from, length), message.subspan(p * length, length));
    }
    return message;
  }

  void exchange(std::size_t begin) {
    std::vector<std::span<const std::byte>> send(world_);
    std::vector<std::span<std::byte>> receive(world_);
    const std::size_t length = length_of(me_, begin);
    for (int r = 0; r < world_; ++r) {
      if (r == me_) continue;
      send[r] = std::as_bytes(message_to(r, begin));
      receive[r] = std::as_writable_bytes(staged_.subspan(node_begin_[r] * chunk_, nodes_of(r) * length));
    }
    ranks_.all_to_all(send, receive);
  }

  /// What arrived of a node; our own partials stay where they are, their places take sums.
  std::span<const float> value_of(std::size_t node, std::size_t begin, std::size_t length) {
    const bool own = node_begin_[me_] <= node && node < node_begin_[me_ + 1];
    if (own) return partials_[node - node_begin_[me_]].subspan(shards_[me_] + begin, length);
    return place_of(node, length);
  }

  /// The last addition to a result writes `out`, the only one that does: `out` may be part of our partials.
  void complete(std::size_t begin, std::span<const std::span<float>> out, std::span<double> squares) {
    const std::size_t length = length_of(me_, begin);
    if (length == 0) return;
    std::vector<std::span<const float>> values;
    for (std::size_t n = 0; n < nodes_.size(); ++n) values.push_back(value_of(n, begin, length));
    if (!squares.empty()) squares = squares.subspan(begin / kBlock, length / kBlock);
    std::size_t done = 0;
    for (std::size_t k = 0; k < out.size(); ++k) {
      const auto [node, additions] = plan_.results[k];
      const auto result = out[k].subspan(begin, length);
      if (done == additions) only_copy(values[node], result, squares);
      for (; done < additions; ++done) {
        const auto [into, from] = plan_.additions[done];
        const bool last = done + 1 == additions;
        const auto sum = last ? result : place_of(into, length);
        if (last && !squares.empty())
          math_.add_and_sum_squares(values[into], values[from], sum, squares);
        else
          math_.add(values[into], values[from], sum);
        values[into] = sum;
      }
    }
  }

  void only_copy(std::span<const float> value, std::span<float> result, std::span<double> squares) {
    if (value.data() != result.data()) math_.copy(value, result);
    if (!squares.empty()) math_.sum_squares(result, squares);
  }

  Communicator& ranks_;
  ArrayMath& math_;
  int me_;
  int world_;
  Partials partials_;
  std::span<const std::size_t> shards_;
  std::vector<TreeNode> nodes_;          // of all ranks, in order
  std::vector<std::size_t> node_begin_;  // rank r has nodes [node_begin_[r], node_begin_[r + 1])
  Completion plan_;
  std::size_t longest_ = 0;    // shard, elements
  std::size_t chunk_ = 0;      // elements
  std::span<float> staged_;    // (nodes, chunk)
  std::span<float> outgoing_;  // (ranks, own nodes, chunk)
};

}  // namespace

void tree_reduce(Communicator& ranks, ArrayMath& math, const TreeStage& stage, Partials partials,
                 std::span<const std::size_t> shards, std::span<const std::span<float>> out, std::span<double> squares,
                 ReduceScratch& scratch, std::size_t staging_bytes) {
  PL_ASSERT(static_cast<int>(shards.size()) == ranks.size() + 1);
  PL_ASSERT(static_cast<int>(stage.ranges.size()) == ranks.size());
  for (const auto& one : out) PL_ASSERT(one.size() == shards[ranks.rank() + 1] - shards[ranks.rank()]);
  for (const auto& partial : partials) PL_ASSERT(partial.size() >= shards.back());
  TreeReduction(ranks, math, stage, partials, shards, scratch, staging_bytes).run(out, squares);
}

TreeStage whole_stage(int world, std::int64_t slices) {
  TreeStage stage{slices, {}};
  for (int r = 0; r < world; ++r) stage.ranges.push_back(slices_of(r, world, slices));
  return stage;
}

}  // namespace pathline::cluster

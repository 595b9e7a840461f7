// SPDX-License-Identifier: Apache-2.0
#include "cluster/tree_reduce.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "cluster/block_layout.h"
#include "cluster/reduction_tree.h"
#include "core/error.h"

namespace pathline::cluster {
namespace {

/// One reduction, worked through in rounds: in round k every rank receives elements [k chunk, (k + 1) chunk) of its
/// shard from all others, for all their nodes.
class TreeReduction {
 public:
  TreeReduction(Communicator& ranks, std::int64_t slices,
                std::span<const std::span<const float>> partials,
                std::span<const std::size_t> shards, std::size_t staging_bytes)
      : ranks_(ranks), me_(ranks.rank()), world_(ranks.size()), partials_(partials),
        shards_(shards) {
    for (int r = 0; r < world_; ++r) {
      node_begin_.push_back(nodes_.size());
      for (TreeNode node : covering_nodes(slices_of(r, world_, slices), slices)) {
        nodes_.push_back(node);
      }
    }
    node_begin_.push_back(nodes_.size());
    PL_ASSERT(partials.size() == nodes_of(me_));
    for (int r = 0; r < world_; ++r) longest_ = std::max(longest_, shards[r + 1] - shards[r]);
    plan_ = completion_plan(nodes_, slices);
    chunk_ = chunk_for(staging_bytes);
    staged_ = std::make_unique_for_overwrite<float[]>(nodes_.size() * chunk_);
    if (partials.size() > 1) {
      outgoing_ = std::make_unique_for_overwrite<float[]>(world_ * partials.size() * chunk_);
    }
  }

  void run(std::span<float> out) {
    for (std::size_t begin = 0; begin < longest_; begin += chunk_) {
      exchange(begin);
      complete(begin, out);
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
    return {&staged_[first * chunk_ + (node - first) * length], length};
  }

  /// The pieces for rank r one after the other; a single one is sent from where it is.
  std::span<const float> message_to(int rank, std::size_t begin) {
    const std::size_t length = length_of(rank, begin);
    if (partials_.empty() || length == 0) return {};
    const std::size_t from = shards_[rank] + begin;
    if (partials_.size() == 1) return partials_[0].subspan(from, length);
    const std::span message(&outgoing_[rank * partials_.size() * chunk_],
                            partials_.size() * length);
    for (std::size_t p = 0; p < partials_.size(); ++p) {
      std::copy_n(&partials_[p][from], length, &message[p * length]);
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
      receive[r] = std::as_writable_bytes(
          std::span(staged_.get() + node_begin_[r] * chunk_, nodes_of(r) * length));
    }
    ranks_.all_to_all(send, receive);
  }

  /// What arrived of a node; our own partials stay where they are, their places take sums.
  std::span<const float> value_of(std::size_t node, std::size_t begin, std::size_t length) {
    const bool own = node_begin_[me_] <= node && node < node_begin_[me_ + 1];
    if (own) return partials_[node - node_begin_[me_]].subspan(shards_[me_] + begin, length);
    return place_of(node, length);
  }

  /// The last addition writes `out`, the only one that does: `out` may be part of our partials.
  void complete(std::size_t begin, std::span<float> out) {
    const std::size_t length = length_of(me_, begin);
    if (length == 0) return;
    std::vector<std::span<const float>> values;
    for (std::size_t n = 0; n < nodes_.size(); ++n) values.push_back(value_of(n, begin, length));
    const auto result = out.subspan(begin, length);
    if (plan_.empty()) {
      if (values[0].data() != result.data()) {
        std::copy(values[0].begin(), values[0].end(), result.begin());
      }
      return;
    }
    for (std::size_t step = 0; step < plan_.size(); ++step) {
      const auto [into, from] = plan_[step];
      const bool last = step + 1 == plan_.size();
      const auto sum = last ? result : place_of(into, length);
      add(values[into], values[from], sum);
      values[into] = sum;
    }
  }

  Communicator& ranks_;
  int me_;
  int world_;
  std::span<const std::span<const float>> partials_;
  std::span<const std::size_t> shards_;
  std::vector<TreeNode> nodes_;          // of all ranks, in order
  std::vector<std::size_t> node_begin_;  // rank r has nodes [node_begin_[r], node_begin_[r + 1])
  std::vector<Addition> plan_;
  std::size_t longest_ = 0;              // shard, elements
  std::size_t chunk_ = 0;                // elements
  std::unique_ptr<float[]> staged_;      // (nodes, chunk)
  std::unique_ptr<float[]> outgoing_;    // (ranks, own nodes, chunk)
};

}  // namespace

void tree_reduce(Communicator& ranks, std::int64_t slices,
                 std::span<const std::span<const float>> partials,
                 std::span<const std::size_t> shards, std::span<float> out,
                 std::size_t staging_bytes) {
  PL_ASSERT(static_cast<int>(shards.size()) == ranks.size() + 1);
  PL_ASSERT(out.size() == shards[ranks.rank() + 1] - shards[ranks.rank()]);
  for (const auto& partial : partials) PL_ASSERT(partial.size() >= shards.back());
  TreeReduction(ranks, slices, partials, shards, staging_bytes).run(out);
}

double tree_reduce_scalar(Communicator& ranks, std::int64_t slices, std::span<const double> mine) {
  std::vector<double> all(slices);
  std::vector<std::size_t> offsets = {0};  // bytes
  for (int r = 0; r < ranks.size(); ++r) {
    offsets.push_back(slices_of(r, ranks.size(), slices).last * sizeof(double));
  }
  const SliceRange own = slices_of(ranks.rank(), ranks.size(), slices);
  PL_ASSERT(static_cast<std::int64_t>(mine.size()) == own.size());
  std::copy(mine.begin(), mine.end(), all.begin() + own.first);
  ranks.all_gather_in_place(std::as_writable_bytes(std::span(all)), offsets);
  return tree_sum(all);
}

}  // namespace pathline::cluster

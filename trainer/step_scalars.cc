// SPDX-License-Identifier: Apache-2.0
#include "trainer/step_scalars.h"

#include <algorithm>
#include <cmath>

#include "cluster/block_layout.h"
#include "cluster/reduction_tree.h"
#include "core/error.h"

namespace pathline::trainer {

StepScalars::StepScalars(cluster::Communicator& ranks, const cluster::ShardMap& map, std::int64_t slices)
    : ranks_(ranks), offsets_{0} {
  std::size_t at = 0;
  for (int rank = 0; rank < map.world(); ++rank) {
    for (std::int64_t s = 0; s < cluster::slices_of(rank, map.world(), slices).size(); ++s) losses_at_.push_back(at++);
    for (const cluster::OwnPart& part : map.parts_of(rank)) {
      const std::size_t blocks = part.range.size() / cluster::kBlock;
      stretches_.push_back({at, part.range.begin / cluster::kBlock, blocks});
      at += blocks;
    }
    offsets_.push_back(at * sizeof(double));
  }
  message_.resize(at);
  blocks_.resize(map.buckets() == 0 ? 0 : map.bucket(map.buckets() - 1).end / cluster::kBlock);
}

StepScalars::Result StepScalars::agree(std::span<const double> losses, std::span<const double> squares) {
  const auto own = std::span(message_).subspan(offsets_[ranks_.rank()] / sizeof(double));
  PL_ASSERT((losses.size() + squares.size()) * sizeof(double) == offsets_[ranks_.rank() + 1] - offsets_[ranks_.rank()]);
  std::ranges::copy(losses, own.begin());
  std::ranges::copy(squares, own.begin() + static_cast<std::ptrdiff_t>(losses.size()));
  ranks_.all_gather_in_place(std::as_writable_bytes(std::span(message_)), offsets_);

  std::vector<double> all_losses;
  for (const std::size_t place : losses_at_) all_losses.push_back(message_[place]);
  for (const Stretch& stretch : stretches_) {
    std::copy_n(message_.begin() + static_cast<std::ptrdiff_t>(stretch.in_message), stretch.blocks,
                blocks_.begin() + static_cast<std::ptrdiff_t>(stretch.first_block));
  }
  return {cluster::tree_sum(all_losses), std::sqrt(cluster::tree_sum(blocks_))};
}

}  // namespace pathline::trainer

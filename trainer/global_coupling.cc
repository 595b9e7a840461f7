// SPDX-License-Identifier: Apache-2.0
// Note [Where the coupling is solved]: a rank computes the costs of its own samples against all noise of their block,
// which it can make itself, since noise is keyed. So samples never travel, and the dearest part, the distances, is
// shared by all ranks. Rows of costs go to the one rank that solves their block (blocks are dealt out in turn), and
// only the permutation comes back: solving everywhere would give the same bits, but take a core of every rank from the
// network. All this happens on a thread and a communicator of its own while the network computes the batch before.
#include "trainer/global_coupling.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "cluster/agree.h"
#include "cluster/reduction_tree.h"
#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"

namespace pathline::trainer {
namespace {

std::vector<std::size_t> first_samples(const TrainOptions& train, int ranks) {
  std::vector<std::size_t> firsts;
  for (int r = 0; r < ranks; ++r) {
    const auto first = cluster::slices_of(r, ranks, train.slices).first * (train.batch / train.slices);
    firsts.push_back(static_cast<std::size_t>(first));
  }
  firsts.push_back(static_cast<std::size_t>(train.batch));
  return firsts;
}

void say_what_is_done(const flow::Coupling& coupling, const std::vector<std::size_t>& bounds, bool conditional) {
  if (bounds.size() > 2) {
    core::log_info("flow.coupling: the batch of ", bounds.back(), " is paired within ", bounds.size() - 1,
                   " blocks of up to ", bounds[1] - bounds[0], " (flow.coupling_block)");
  }
  if (conditional && coupling.label_cost == 0) {
    core::log_warning("flow.coupling_label_cost = 0 pairs noise with samples of a conditional model whatever their ",
                      "labels: training then shows each label only some of the noise, and sampling all of it");
  }
}

}  // namespace

GlobalCoupling::GlobalCoupling(const Recipe& recipe, bool conditional, const Dataset& data,
                               const data::LoaderOptions& own, cluster::Communicator& ranks)
    : coupling_(flow::Coupling::of(recipe.flow.pairing, conditional)),
      data_(data),
      own_(own),
      firsts_(first_samples(recipe.train, ranks.size())),
      bounds_(flow::block_bounds(recipe.train.batch, recipe.flow.pairing.coupling_block)),
      passes_through_(!coupling_.permutes() && (data.starts().gaussian() || own.starts)),
      ranks_(cluster::duplicate(ranks)),
      loader_(data.source(), data.order(), own) {
  if (passes_through_) return;
  if (coupling_.permutes() && ranks.rank() == 0) say_what_is_done(coupling_, bounds_, conditional);
  asked_ = thread_.post([this] { prepare(); });
}

GlobalCoupling::~GlobalCoupling() {
  try {
    thread_.wait_for_all();
  } catch (...) {  // next() would have said it
  }
}

data::Batch GlobalCoupling::next() {
  if (passes_through_) return loader_.next();
  const double start = core::monotonic_seconds();
  thread_.wait_for(asked_);
  data::Batch batch = std::move(*ready_);
  asked_ = thread_.post([this] { prepare(); });
  batch.waited_seconds = core::monotonic_seconds() - start;
  return batch;
}

void GlobalCoupling::prepare() {
  data::Batch batch;
  if (coupling_.permutes()) {
    std::vector<std::vector<float>> costs;
    cluster::together(*ranks_, [&] {
      batch = loader_.next();
      costs = own_costs(batch);
    });
    const std::vector<std::int64_t> noise_of = permutation(batch, costs);
    for (std::int64_t i = own_.first; i < own_.last; ++i) {
      batch.noise.push_back(batch.position + static_cast<std::uint64_t>(noise_of[static_cast<std::size_t>(i)]));
    }
  } else {
    batch = loader_.next();
  }
  if (!data_.starts().gaussian()) fill_starts(batch);
  ready_ = std::move(batch);
}

void GlobalCoupling::fill_starts(data::Batch& batch) const {
  const std::size_t size = data_.info().item_values();
  batch.starts.resize(batch.samples.size() * size);
  for (std::size_t n = 0; n < batch.samples.size(); ++n) {
    const std::uint64_t position = batch.noise.empty() ? batch.first + n : batch.noise[n];
    data_.starts().fill(sampler::StartSource::Use::kTraining, own_.seed, position,
                        std::span(batch.starts).subspan(n * size, size));
  }
}

/// How many costs rank `r` computes for block `b`.
std::size_t GlobalCoupling::costs_of(std::size_t r, std::size_t b) const {
  const std::size_t first = std::max(firsts_[r], bounds_[b]), last = std::min(firsts_[r + 1], bounds_[b + 1]);
  return last > first ? (last - first) * block_size(b) : 0;
}

/// Of this rank's samples, block by block: (own samples in it, size of the block).
std::vector<std::vector<float>> GlobalCoupling::own_costs(const data::Batch& batch) const {
  const std::size_t size = data_.info().item_values();
  std::vector<std::vector<float>> costs(blocks());
  std::span<const float> samples = batch.values;
  std::vector<float> noise;
  for (std::size_t b = 0; b < blocks(); ++b) {
    costs[b].resize(costs_of(static_cast<std::size_t>(ranks_->rank()), b));
    if (costs[b].empty()) continue;
    noise.resize(block_size(b) * size);
    for (std::size_t j = 0; j < block_size(b); ++j) {
      data_.starts().fill(sampler::StartSource::Use::kTraining, own_.seed, batch.position + bounds_[b] + j,
                          std::span(noise).subspan(j * size, size));
    }
    const std::size_t elements = costs[b].size() / block_size(b) * size;
    flow::squared_distances(samples.first(elements), noise, size, costs[b]);
    samples = samples.subspan(elements);
  }
  return costs;
}

/// Rows of costs go to the ranks that solve their blocks; returns the blocks of this rank, complete: ranks' samples are
/// in order.
std::vector<std::vector<float>> GlobalCoupling::exchanged(const std::vector<std::vector<float>>& costs) {
  const auto world = static_cast<std::size_t>(ranks_->size()), rank = static_cast<std::size_t>(ranks_->rank());
  std::vector<std::vector<float>> to(world), from(world), mine;
  for (std::size_t b = 0; b < blocks(); ++b) {
    auto& out = to[b % world];
    out.insert(out.end(), costs[b].begin(), costs[b].end());
    for (std::size_t r = 0; r < world && b % world == rank; ++r) from[r].resize(from[r].size() + costs_of(r, b));
  }
  std::vector<std::span<const std::byte>> send;
  std::vector<std::span<std::byte>> receive;
  for (std::size_t r = 0; r < world; ++r) {
    send.push_back(std::as_bytes(std::span(to[r])));
    receive.push_back(std::as_writable_bytes(std::span(from[r])));
  }
  ranks_->all_to_all(send, receive);
  std::vector<std::span<const float>> rest(from.begin(), from.end());
  for (std::size_t b = rank; b < blocks(); b += world) {
    mine.emplace_back();
    for (std::size_t r = 0; r < world; ++r) {
      const auto rows = rest[r].first(costs_of(r, b));
      mine.back().insert(mine.back().end(), rows.begin(), rows.end());
      rest[r] = rest[r].subspan(rows.size());
    }
  }
  return mine;
}

std::vector<std::int64_t> GlobalCoupling::all_labels(const data::Batch& batch) {
  std::vector<std::int64_t> labels(firsts_.back());
  std::ranges::copy(batch.labels, labels.begin() + own_.first);
  std::vector<std::size_t> offsets;
  for (const std::size_t first : firsts_) offsets.push_back(first * sizeof(std::int64_t));
  ranks_->all_gather_in_place(std::as_writable_bytes(std::span(labels)), offsets);
  return labels;
}

/// The noise of every sample of the global batch, on all ranks.
std::vector<std::int64_t> GlobalCoupling::permutation(const data::Batch& batch,
                                                      const std::vector<std::vector<float>>& costs) {
  const auto world = static_cast<std::size_t>(ranks_->size()), rank = static_cast<std::size_t>(ranks_->rank());
  const std::vector<std::int64_t> labels = all_labels(batch);
  std::vector<std::vector<float>> mine = exchanged(costs);
  std::vector<std::int64_t> noise_of(firsts_.back(), 0);
  cluster::together(*ranks_, [&] {
    for (std::size_t k = 0; k < mine.size(); ++k) {
      const std::size_t b = rank + k * world, first = bounds_[b];
      std::vector<std::uint64_t> positions(block_size(b));
      std::iota(positions.begin(), positions.end(), batch.position + first);
      const auto found = flow::coupled(coupling_, std::move(mine[k]), std::span(labels).subspan(first, block_size(b)),
                                       own_.seed, positions);
      for (std::size_t i = 0; i < found.size(); ++i) noise_of[first + i] = static_cast<std::int64_t>(first) + found[i];
    }
  });
  ranks_->all_reduce(noise_of, cluster::Reduction::kSum);  // each block on one rank, zero on the others
  return noise_of;
}

}  // namespace pathline::trainer

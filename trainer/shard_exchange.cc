// SPDX-License-Identifier: Apache-2.0
#include "trainer/shard_exchange.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <utility>

#include "cluster/block_layout.h"
#include "core/log.h"
#include "core/progress.h"

namespace pathline::trainer {
namespace {

cluster::Levels levels_for(const TrainOptions& train, const cluster::Levels& levels, int world) {
  return train.reduction == "tree" ? levels : cluster::Levels{1, world};
}

std::unique_ptr<cluster::ShardReducer> reducer_for(const TrainOptions& train, Backend& backend,
                                                   const cluster::ShardMap& map) {
  if (train.reduction == "tree")
    return cluster::make_tree_reducer(backend.array_ranks(), backend.math(), map, train.slices);
  return cluster::make_fastest_reducer(backend.array_ranks(), backend.math(), map);
}

std::span<float> elements_of(const at::Tensor& flat, const cluster::Range& range) {
  return {flat.mutable_data_ptr<float>() + range.begin, range.size()};
}

/// Until the process ends.
struct Kept {
  std::unique_ptr<cluster::ShardReducer> reducer;
  std::vector<at::Tensor> tensors;
};

void keep(Kept memory) {
  static std::mutex mutex;
  static auto& all = *new std::vector<Kept>;
  const std::lock_guard lock(mutex);
  all.push_back(std::move(memory));
}

}  // namespace

ShardExchange::ShardExchange(Backend& backend, const FlatLayout& layout, cluster::Communicator& ranks,
                             const TrainOptions& train, const cluster::Levels& levels)
    : backend_(backend),
      layout_(layout),
      map_(bucket_ranges(layout), levels_for(train, levels, ranks.size()), ranks.rank(), ranks.size()),
      reducer_(reducer_for(train, backend, map_)),
      squares_(map_.own_elements() / cluster::kBlock),
      gathers_(layout.buckets.size()),
      exceptions_(std::uncaught_exceptions()),
      thread_(std::make_unique<core::TaskThread>()) {}

ShardExchange::~ShardExchange() {
  if (std::uncaught_exceptions() > exceptions_) {
    break_off();
    return;
  }
  try {
    thread_->wait_for_all();  // the others wait for our part
  } catch (const std::exception& error) {
    core::log_warning("the last exchange between ranks failed: ", error.what());
  }
}

void ShardExchange::break_off() {
  reducer_->cancel();
  thread_.reset();
  reduced_.push_back(std::move(gathered_));
  keep({std::move(reducer_), std::move(reduced_)});
}

void ShardExchange::start_reduce(std::size_t b, std::span<const at::Tensor> partials) {
  const cluster::Range bucket = layout_.buckets[b].range;
  reduced_.assign(partials.begin(), partials.end());
  std::vector<std::span<const float>> parts;
  for (const auto& partial : partials) parts.push_back(elements_of(partial, bucket));
  const cluster::OwnPart& part = map_.own(b);
  const auto own = elements_of(partials.front(), part.range);
  const auto squares = std::span(squares_).subspan(part.local / cluster::kBlock, part.range.size() / cluster::kBlock);
  const std::shared_ptr<ComputeMark> mark = backend_.mark_compute();
  last_reduction_ = thread_->post([this, b, mark, parts = std::move(parts), own, squares] {
    mark->before_reductions();
    reducer_->reduce(b, parts, own, squares);
  });
}

void ShardExchange::finish_reductions() {
  last_reduction_ = thread_->post([this] { backend_.math().finish(); });  // the squares lie in host memory
  wait_for(last_reduction_);
}

void ShardExchange::start_gather(std::size_t b, const at::Tensor& flat) {
  if (map_.world() == 1) return;
  const cluster::Range bucket = layout_.buckets[b].range;
  gathered_ = flat;
  const std::size_t width = flat.element_size();
  const std::span<std::byte> bytes(static_cast<std::byte*>(flat.mutable_data_ptr()) + bucket.begin * width,
                                   bucket.size() * width);
  const std::shared_ptr<ComputeMark> mark = backend_.mark_compute();
  gathers_[b] = thread_->post([this, b, mark, bytes, width] {
    mark->before_reductions();
    reducer_->gather(b, bytes, width);
  });
}

void ShardExchange::wait_for_gathers(std::size_t b) {
  const std::uint64_t last = *std::max_element(gathers_.begin() + static_cast<std::ptrdiff_t>(b), gathers_.end());
  if (last == 0) return;
  wait_for(last);
  std::fill(gathers_.begin() + static_cast<std::ptrdiff_t>(b), gathers_.end(), 0);
}

void ShardExchange::wait_for(std::uint64_t task) {
  const double started = core::monotonic_seconds();
  thread_->wait_for(task);
  backend_.compute_after_reductions();
  exposed_seconds_ += core::monotonic_seconds() - started;
}

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
#include "trainer/sharded_state.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "cluster/block_layout.h"
#include "cluster/block_norm.h"
#include "cluster/reduction_tree.h"
#include "core/error.h"
#include "trainer/optimizer.h"
#include "trainer/schedule.h"

namespace pathline::trainer {
namespace {

std::span<float> values_of(const at::Tensor& tensor) {
  return {tensor.mutable_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

at::Tensor flat_zeros(std::size_t elements) { return at::zeros({static_cast<std::int64_t>(elements)}, at::kFloat); }

/// The parameter's tensor becomes a view of its place in the flat buffer, holding the same values.
void move_into(const at::Tensor& flat, const FlatTensor& place, at::Tensor parameter) {
  at::Tensor view = flat.narrow(0, static_cast<std::int64_t>(place.offset), static_cast<std::int64_t>(place.elements))
                        .view(place.shape);
  view.copy_(parameter.detach());
  parameter.set_data(view);
}

void all_gather_shards(cluster::Communicator& ranks, std::span<float> flat, const std::vector<std::size_t>& offsets) {
  std::vector<std::size_t> bytes(offsets);
  for (auto& offset : bytes) offset *= sizeof(float);
  ranks.all_gather_in_place(std::as_writable_bytes(flat), bytes);
}

}  // namespace

ShardedState::ShardedState(FlatLayout layout, const std::vector<model::NamedTensor>& parameters,
                           const EmaOptions& averages, std::vector<std::size_t> shard_offsets, int rank)
    : layout_(std::move(layout)), average_options_(averages), offsets_(std::move(shard_offsets)), rank_(rank) {
  PL_ASSERT(layout_.tensors.size() == parameters.size() && offsets_.back() == layout_.elements);
  parameters_ = flat_zeros(layout_.elements);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    move_into(parameters_, layout_.tensors[i], parameters[parameters.size() - 1 - i].tensor);
  }
  const std::size_t own = end() - begin();
  moment1_ = flat_zeros(own);
  moment2_ = flat_zeros(own);
  for (std::size_t i = 0; i < averages.decays.size(); ++i) {
    averages_.push_back(parameters_.narrow(0, static_cast<std::int64_t>(begin()), static_cast<std::int64_t>(own)).clone());
  }
}

std::span<float> ShardedState::parameters() { return values_of(parameters_); }

std::vector<NamedShard> ShardedState::shards() {
  std::vector<NamedShard> shards = {{"master", parameters().subspan(begin(), end() - begin())},
                                    {"adam_m", values_of(moment1_)},
                                    {"adam_v", values_of(moment2_)}};
  for (std::size_t i = 0; i < averages_.size(); ++i) {
    shards.push_back({ema_kind(average_options_.decays[i]), values_of(averages_[i])});
  }
  return shards;
}

double ShardedState::gradient_norm(cluster::Communicator& ranks, std::span<const float> own_gradient) const {
  constexpr std::size_t kBlock = cluster::kBlock;
  std::vector<double> block_sums(layout_.elements / kBlock);
  for (std::size_t at = 0; at < own_gradient.size(); at += kBlock) {
    block_sums[(begin() + at) / kBlock] = cluster::sum_of_squares(own_gradient.subspan(at, kBlock));
  }
  std::vector<std::size_t> bytes(offsets_);
  for (auto& offset : bytes) offset = offset / kBlock * sizeof(double);
  ranks.all_gather_in_place(std::as_writable_bytes(std::span(block_sums)), bytes);
  return std::sqrt(cluster::tree_sum(block_sums));
}

void ShardedState::update(const OptimizerOptions& options, std::int64_t step, std::span<const float> own_gradient,
                          double gradient_scale) {
  std::vector<AverageStep> averages;
  for (std::size_t i = 0; i < averages_.size(); ++i) {
    const double decay = ema_decay_at(average_options_.decays[i], average_options_.warmup, step);
    averages.push_back({averages_[i].mutable_data_ptr<float>(), static_cast<float>(1.0 - decay)});
  }
  ShardArrays own;
  own.elements = own_gradient.size();
  own.gradient = own_gradient.data();
  own.master = parameters().data() + begin();
  own.moments = {moment1_.mutable_data_ptr<float>(), moment2_.mutable_data_ptr<float>()};
  own.averages = std::move(averages);
  const auto runs = runs_of(layout_, group_settings(options, layout_), begin(), end());
  update_runs(*make_optimizer(options), step, gradient_scale, runs, begin(), own);
}

void ShardedState::gather_parameters(cluster::Communicator& ranks) { all_gather_shards(ranks, parameters(), offsets_); }

ShardedState::AverageInPlace::AverageInPlace(ShardedState& state, std::size_t average, cluster::Communicator& ranks)
    : state_(state), other_(flat_zeros(state.layout_.elements)) {
  const auto own = values_of(state.averages_[average]);
  std::copy(own.begin(), own.end(), values_of(other_).begin() + static_cast<std::ptrdiff_t>(state.begin()));
  all_gather_shards(ranks, values_of(other_), state.offsets_);
  std::ranges::swap_ranges(values_of(other_), state.parameters());
}

ShardedState::AverageInPlace::~AverageInPlace() { std::ranges::swap_ranges(values_of(other_), state_.parameters()); }

}  // namespace pathline::trainer

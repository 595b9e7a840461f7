// SPDX-License-Identifier: Apache-2.0
#include "trainer/sharded_state.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "core/error.h"
#include "trainer/schedule.h"

namespace pathline::trainer {
namespace {

at::ScalarType type_of(const TrainOptions& train) { return train.precision == "bf16" ? at::kBFloat16 : at::kFloat; }

at::Tensor flat_zeros(std::size_t elements, at::ScalarType type, at::Device device) {
  return at::zeros({static_cast<std::int64_t>(elements)}, at::TensorOptions().dtype(type).device(device));
}

at::Tensor part_of(const at::Tensor& flat, std::size_t begin, std::size_t count) {
  return flat.narrow(0, static_cast<std::int64_t>(begin), static_cast<std::int64_t>(count));
}

/// The parameter's tensor becomes a view of its place in the flat buffer, holding the same values.
void move_into(const at::Tensor& flat, const FlatTensor& place, at::Tensor parameter) {
  const at::Tensor view = part_of(flat, place.offset, place.elements).view(place.shape);
  view.copy_(parameter.detach());
  parameter.set_data(view);
}

}  // namespace

ShardedState::ShardedState(const std::vector<model::NamedTensor>& parameters, const Recipe& recipe, Backend& backend,
                           cluster::Communicator& ranks, const cluster::Levels& levels)
    : layout_(flat_layout(parameters, recipe.train.bucket_elements())),
      average_options_(recipe.ema),
      optimizer_(make_optimizer(recipe.optimizer, backend.kernels())),
      groups_(group_settings(recipe.optimizer, layout_)),
      exchange_(backend, layout_, ranks, recipe.train, levels) {
  const at::Device device = backend.device();
  const std::size_t own = exchange_.map().own_elements();
  // The initial values in fp32, whole: masters and averages begin as these, not as what bf16 leaves of them.
  const at::Tensor initial = flat_zeros(layout_.elements, at::kFloat, device);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    move_into(initial, layout_.tensors[i], parameters[parameters.size() - 1 - i].tensor);
  }
  const auto own_copy = [&] {
    const at::Tensor copy = flat_zeros(own, at::kFloat, device);
    for (std::size_t b = 0; b < layout_.buckets.size(); ++b) {
      const cluster::Range range = exchange_.map().own(b).range;
      own_part(copy, b).copy_(part_of(initial, range.begin, range.size()));
    }
    return copy;
  };
  for (std::size_t i = 0; i < average_options_.decays.size(); ++i) averages_.push_back(own_copy());
  for (std::size_t i = 0; i < optimizer_->state_names().size(); ++i)
    moments_.push_back(flat_zeros(own, at::kFloat, device));
  parameters_ = initial;
  if (type_of(recipe.train) == at::kFloat) return;
  masters_ = own_copy();
  parameters_ = flat_zeros(layout_.elements, type_of(recipe.train), device);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    move_into(parameters_, layout_.tensors[i], parameters[parameters.size() - 1 - i].tensor);
  }
}

at::Tensor ShardedState::own_parameters(std::size_t bucket) const {
  const cluster::Range range = exchange_.map().own(bucket).range;
  return part_of(parameters_, range.begin, range.size());
}

at::Tensor ShardedState::own_part(const at::Tensor& shard, std::size_t bucket) const {
  const cluster::OwnPart& part = exchange_.map().own(bucket);
  return part_of(shard, part.local, part.range.size());
}

std::vector<NamedShard> ShardedState::shards() {
  const auto parts = [this](const at::Tensor& shard) {
    std::vector<at::Tensor> result;
    for (std::size_t b = 0; b < layout_.buckets.size(); ++b) result.push_back(own_part(shard, b));
    return result;
  };
  std::vector<NamedShard> shards = {{"master", {}}};
  for (std::size_t b = 0; b < layout_.buckets.size(); ++b) {
    shards[0].parts.push_back(has_masters() ? own_part(masters_, b) : own_parameters(b));
  }
  const auto names = optimizer_->state_names();
  for (std::size_t i = 0; i < names.size(); ++i) shards.push_back({names[i], parts(moments_[i])});
  for (std::size_t i = 0; i < averages_.size(); ++i) {
    shards.push_back({ema_kind(average_options_.decays[i]), parts(averages_[i])});
  }
  return shards;
}

ShardArrays ShardedState::arrays_of(std::size_t bucket, std::int64_t step, const at::Tensor& gradient) const {
  const cluster::Range range = exchange_.map().own(bucket).range;
  const at::Tensor parameter = own_parameters(bucket);
  ShardArrays own;
  own.elements = range.size();
  own.gradient = part_of(gradient, range.begin, range.size()).const_data_ptr<float>();
  own.master = (has_masters() ? own_part(masters_, bucket) : parameter).mutable_data_ptr<float>();
  if (has_masters()) own.bf16_parameter = static_cast<std::uint16_t*>(parameter.mutable_data_ptr());
  for (const auto& moment : moments_) own.moments.push_back(own_part(moment, bucket).mutable_data_ptr<float>());
  for (std::size_t i = 0; i < averages_.size(); ++i) {
    const double decay = ema_decay_at(average_options_.decays[i], average_options_.warmup, step);
    own.averages.push_back({own_part(averages_[i], bucket).mutable_data_ptr<float>(), static_cast<float>(1.0 - decay)});
  }
  return own;
}

void ShardedState::update(std::int64_t step, const at::Tensor& gradient, double gradient_scale) {
  for (std::size_t b = layout_.buckets.size(); b-- > 0;) {  // what the next forward pass needs first goes first
    const cluster::Range range = exchange_.map().own(b).range;
    update_runs(*optimizer_, step, gradient_scale, runs_of(layout_, groups_, range.begin, range.end), range.begin,
                arrays_of(b, step, gradient));
    exchange_.start_gather(b, parameters_);
  }
}

void ShardedState::wait_for_parameters(std::size_t count) {
  if (count == 0) return;
  PL_ASSERT(count <= layout_.tensors.size());
  exchange_.wait_for_gathers(layout_.tensors[layout_.tensors.size() - count].bucket);
}

void ShardedState::gather_all() {
  for (std::size_t b = layout_.buckets.size(); b-- > 0;) exchange_.start_gather(b, parameters_);
  wait_for_all_parameters();
}

void ShardedState::spread_masters() {
  if (has_masters()) {
    for (std::size_t b = 0; b < layout_.buckets.size(); ++b) own_parameters(b).copy_(own_part(masters_, b));
  }
  gather_all();
}

ShardedState::AverageInPlace::AverageInPlace(ShardedState& state, std::size_t average) : state_(state) {
  state.wait_for_all_parameters();
  own_parameters_ = state.parameters_.clone();
  for (std::size_t b = 0; b < state.layout_.buckets.size(); ++b) {
    state.own_parameters(b).copy_(state.own_part(state.averages_[average], b));
  }
  state.gather_all();
}

ShardedState::AverageInPlace::~AverageInPlace() { state_.parameters_.copy_(own_parameters_); }

std::vector<MemoryUse> ShardedState::memory() const {
  const auto bytes_of = [](const std::vector<at::Tensor>& tensors) {
    std::size_t bytes = 0;
    for (const auto& tensor : tensors) bytes += tensor.nbytes();
    return bytes;
  };
  return {{"parameters", parameters_.nbytes()},
          {"masters", has_masters() ? masters_.nbytes() : 0},
          {"moments", bytes_of(moments_)},
          {"averages", bytes_of(averages_)},
          {"staging", exchange_.bytes()}};
}

}  // namespace pathline::trainer

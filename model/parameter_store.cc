// SPDX-License-Identifier: Apache-2.0
#include "model/parameter_store.h"

#include <ATen/ops/empty.h>

#include <span>

#include "core/random.h"

namespace pathline::model {
namespace {

void fill(std::span<float> values, Initial initial, const core::Draws& draws) {
  const float size = static_cast<float>(initial.size);
  switch (initial.law) {
    case Initial::Law::kZero:
    case Initial::Law::kOne:
      for (float& value : values) value = initial.law == Initial::Law::kOne ? 1.0f : 0.0f;
      return;
    case Initial::Law::kUniform:
      draws.fill_uniform(values);
      for (float& value : values) value = size * (2.0f * value - 1.0f);
      return;
    case Initial::Law::kNormal:
      draws.fill_normal(values);
      for (float& value : values) value *= size;
      return;
  }
}

}  // namespace

at::Tensor ParameterStore::add(const std::string& name, const std::vector<std::int64_t>& shape, Initial initial) {
  const auto device = seed_ ? at::kCPU : at::kMeta;
  at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(at::kFloat).device(device));
  if (seed_) {
    fill({tensor.mutable_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())}, initial,
         core::Draws(*seed_, core::hash_name(name), core::Purpose::kParameters));
  }
  tensor.set_requires_grad(true);
  parameters_.push_back({name, tensor});
  return tensor;
}

std::vector<at::Tensor> ParameterStore::parameters_of(const std::string& name) const {
  std::vector<at::Tensor> tensors;
  for (const NamedTensor& each : parameters_) {
    if (each.name.starts_with(name + ".")) tensors.push_back(each.tensor);
  }
  return tensors;
}

at::Tensor ParameterStore::add_buffer(const std::string& name, const at::Tensor& values) {
  buffers_.push_back({name, values});
  return values;
}

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
#include "model/dropout.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <span>

#include "core/error.h"
#include "core/random.h"
#include "model/gpu_dropout.h"

namespace pathline::model {

namespace {

/// Of x's shape, fp32, on the host.
at::Tensor mask_of(const at::Tensor& x, double rate, const Condition& condition, std::uint32_t layer) {
  PL_ASSERT(condition.positions.size() == static_cast<std::size_t>(x.size(0)));
  at::Tensor mask = at::empty(x.sizes(), at::kFloat);
  const std::size_t row = static_cast<std::size_t>(x.numel() / x.size(0));
  const float threshold = static_cast<float>(rate), kept = static_cast<float>(1.0 / (1.0 - rate));
  for (std::size_t i = 0; i < condition.positions.size(); ++i) {
    const std::span<float> values(mask.mutable_data_ptr<float>() + i * row, row);
    core::Draws(condition.seed, condition.positions[i], core::Purpose::kDropout, layer).fill_uniform(values);
    for (float& value : values) value = value < threshold ? 0.0f : kept;
  }
  return mask;
}

}  // namespace

at::Tensor keyed_dropout(const at::Tensor& x, double rate, const Condition& condition, std::uint32_t layer) {
  const at::Tensor mask = x.is_cuda() ? gpu_dropout_mask(x, rate, condition, layer) : mask_of(x, rate, condition, layer);
  return (x * mask).to(x.scalar_type());  // 1 / (1 - rate) is not rounded to x's type
}

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
#include "model/dropout.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <span>

#include "core/error.h"
#include "core/random.h"
#include "model/block_product.h"
#include "model/gpu_dropout.h"
#include "model/layout_kernels.h"

namespace pathline::model {

namespace {

/// Of x's shape and layout, fp32, on the host. Draws are numbered in the order of (C, H, W).
at::Tensor mask_of(const at::Tensor& x, double rate, const Condition& condition, std::uint32_t layer) {
  PL_ASSERT(condition.positions.size() == static_cast<std::size_t>(x.size(0)));
  const at::MemoryFormat layout = x.suggest_memory_format();
  at::Tensor mask = at::empty(x.sizes(), at::TensorOptions().dtype(at::kFloat).memory_format(layout));
  const std::int64_t row = x.numel() / x.size(0);
  const float threshold = static_cast<float>(rate), kept = static_cast<float>(1.0 / (1.0 - rate));
  each_task(x.size(0), [&](std::int64_t i, Arena& arena) {
    float* out = mask.mutable_data_ptr<float>() + i * row;
    const bool turn = layout == at::MemoryFormat::ChannelsLast;
    const std::span<float> values(turn ? arena.take<float>(row) : out, static_cast<std::size_t>(row));
    core::Draws(condition.seed, condition.positions[static_cast<std::size_t>(i)], core::Purpose::kDropout, layer)
        .fill_uniform(values);
    for (float& value : values) value = value < threshold ? 0.0f : kept;
    const std::int64_t places = row / x.size(1);
    if (turn) transpose<float, float>({x.size(1), places}, values.data(), places, out, x.size(1));
  });
  return mask;
}

}  // namespace

at::Tensor keyed_dropout(const at::Tensor& x, double rate, const Condition& condition, std::uint32_t layer) {
  const at::Tensor mask =
      x.is_cuda() ? gpu_dropout_mask(x, rate, condition, layer) : mask_of(x, rate, condition, layer);
  return (x * mask).to(x.scalar_type());  // 1 / (1 - rate) is not rounded to x's type
}

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
// Autograd around half_block.h and the norm's loops on the host; plain ATen elsewhere, or a GPU's own passes.
#include "model/fused.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/layer_norm.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/first_derivatives.h"
#include "model/gpu_passes.h"
#include "model/half_block.h"
#include "model/token_chunks.h"

namespace pathline::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// Rows that are contiguous in themselves (a slice of the modulation (N, 6 D) is) need no copy.
at::Tensor dense_rows(const at::Tensor& x) { return x.stride(-1) == 1 ? x : x.contiguous(); }

struct ModulatedNorm : Function<ModulatedNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_any, const at::Tensor& shift_any,
                            const at::Tensor& scale_any) {
    const at::Tensor x = x_any.contiguous(), shift = dense_rows(shift_any), scale = dense_rows(scale_any);
    at::Tensor out = at::empty_like(x), mean = at::empty({x.size(0), x.size(1)}, x.options().dtype(at::kFloat)),
               rstd = at::empty_like(mean);
    by_type(x, [&](auto zero) {
      using E = decltype(zero);
      const Chunks chunks(x);
      each_task(chunks.count(), [&](std::int64_t i, Arena&) {
        const Chunk at = chunks[i];
        modulated_norm_forward<E>({at.rows, chunks.width}, token<E>(x, at.first), row<E>(shift, at.sample),
                                  row<E>(scale, at.sample), new_token<E>(out, at.first),
                                  mean.mutable_data_ptr<float>() + at.first, rstd.mutable_data_ptr<float>() + at.first);
      });
    });
    context->save_for_backward({x, scale, mean, rstd});
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    refuse_second_derivatives();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &scale = saved[1], &mean = saved[2], &rstd = saved[3];
    const at::Tensor d = gradients[0].contiguous();
    return by_type(x, [&](auto zero) -> variable_list {
      using E = decltype(zero);
      const Chunks chunks(x);
      const std::int64_t width = chunks.width;
      at::Tensor dx = at::empty_like(x);
      ChunkSums sums(chunks, 2 * width);
      each_task(chunks.count(), [&](std::int64_t i, Arena&) {
        const Chunk at = chunks[i];
        modulated_norm_backward<E, E>({at.rows, width}, token<E>(d, at.first), token<E>(x, at.first),
                                      row<E>(scale, at.sample), mean.const_data_ptr<float>() + at.first,
                                      rstd.const_data_ptr<float>() + at.first, nullptr, new_token<E>(dx, at.first),
                                      sums.at(i, 0), sums.at(i, width));
      });
      return {dx, sums.per_sample<E>(0, width, x), sums.per_sample<E>(width, width, x)};
    });
  }
};

struct HalfBlock : Function<HalfBlock> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& modulation,
                            const at::Tensor& first_weight, const at::Tensor& first_bias,
                            const at::Tensor& second_weight, const at::Tensor& second_bias, std::int64_t heads) {
    Half kept;
    const at::Tensor out =
        half_block_forward(x, modulation, {first_weight, first_bias}, {second_weight, second_bias}, heads, &kept);
    context->save_for_backward(kept.list());
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    refuse_second_derivatives();
    variable_list results = half_block_backward(Half::of(context->get_saved_variables()), gradients[0]);
    results.emplace_back();  // heads
    return results;
  }
};

at::Tensor half_block(const at::Tensor& x, const at::Tensor& any_modulation, const Linear& first, const Linear& second,
                      std::int64_t heads) {
  const at::Tensor modulation = any_modulation.to(x.scalar_type());
  if (!at::GradMode::is_enabled()) return half_block_forward(x, modulation, first, second, heads, nullptr);
  return HalfBlock::apply(x, modulation, first.weight, first.bias, second.weight, second.bias, heads);
}

}  // namespace

at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale) {
  if (x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16)) {
    return ModulatedNorm::apply(x, shift, scale);
  }
  const bool one_type = shift.scalar_type() == x.scalar_type() && scale.scalar_type() == x.scalar_type();
  if (one_type && has_gpu_passes(x)) return gpu_modulated_norm(x, shift, scale);
  const at::Tensor normed = at::layer_norm(x, {x.size(-1)}, {}, {}, 1e-6);
  return at::addcmul(shift.unsqueeze(1), normed, scale.unsqueeze(1) + 1.0);
}

at::Tensor gated_residual(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& y) {
  const bool one_type = gate.scalar_type() == x.scalar_type() && y.scalar_type() == x.scalar_type();
  return one_type && has_gpu_passes(x) ? gpu_gated_residual(x, gate, y) : at::addcmul(x, gate.unsqueeze(1), y);
}

bool can_fuse(const at::Tensor& x, std::int64_t head_width, std::int64_t mlp_width) {
  const bool even = head_width % 2 == 0 && mlp_width % 2 == 0;
  return x.is_cpu() && has_block_products(x.scalar_type()) && (even || x.scalar_type() == at::kFloat);
}

at::Tensor fused_attention(const at::Tensor& x, const at::Tensor& modulation, const Linear& qkv,
                           const Linear& projection, std::int64_t heads) {
  return half_block(x, modulation, qkv, projection, heads);
}

at::Tensor fused_mlp(const at::Tensor& x, const at::Tensor& modulation, const Linear& widen, const Linear& narrow) {
  return half_block(x, modulation, widen, narrow, 0);
}

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
#include "model/norm_silu.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "model/first_derivatives.h"
#include "model/norm_silu_kernels.h"
#include "model/token_chunks.h"

namespace pathline::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kGroups = 32;

bool on_host(const at::Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

/// (N, C, 1, 1), in x's type.
at::Tensor over_places(const at::Tensor& terms, const at::Tensor& x) {
  return terms.to(x.scalar_type()).unsqueeze(2).unsqueeze(3);
}

/// (C) or (N, C) -> (N, C) in fp32.
at::Tensor per_sample(const at::Tensor& terms, const at::Tensor& x) {
  return terms.to(at::kFloat).expand({x.size(0), x.size(1)});
}

/// x as the rows of its groups: task i is group i % kGroups of sample i / kGroups.
struct Groups {
  explicit Groups(const at::Tensor& x)
      : count(x.size(0) * kGroups), rows{x.size(1) / kGroups, x.size(2) * x.size(3)}, numbers(rows.count * rows.width) {}

  std::int64_t count;
  Rows rows;
  std::int64_t numbers;  // of one group
};

const float* terms_of(const at::Tensor& terms, std::int64_t first) {
  return terms.defined() ? terms.const_data_ptr<float>() + first : nullptr;
}

struct NormSilu : torch::autograd::Function<NormSilu> {
  /// added, gain, shift: (N, C) fp32.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& any_x, const std::optional<at::Tensor>& any_added,
                            const at::Tensor& any_gain, const at::Tensor& any_shift) {
    const at::Tensor x = any_x.contiguous(), gain = any_gain.contiguous(), shift = any_shift.contiguous();
    const at::Tensor added = any_added ? any_added->contiguous() : at::Tensor();
    const Groups groups(x);
    const at::Tensor out = at::empty_like(x), moments = at::empty({2, groups.count}, gain.options());  // mean, rstd
    float *mean = moments.mutable_data_ptr<float>(), *rstd = mean + groups.count;
    by_type(x, [&](auto zero) {
      using E = decltype(zero);
      each_task(groups.count, [&](std::int64_t i, Arena&) {
        const std::int64_t channel = i * groups.rows.count, at = i * groups.numbers;
        norm_silu_forward<E>(groups.rows, x.const_data_ptr<E>() + at,
                             {terms_of(added, channel), terms_of(gain, channel), terms_of(shift, channel)},
                             out.mutable_data_ptr<E>() + at, mean + i, rstd + i);
      });
    });
    context->save_for_backward({x, added, gain, shift, moments});
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    refuse_second_derivatives();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &added = saved[1], &gain = saved[2], &shift = saved[3], &moments = saved[4];
    const at::Tensor d = gradients[0].contiguous(), dx = at::empty_like(x), dgain = at::empty_like(gain),
                     dshift = at::empty_like(shift), dadded = added.defined() ? at::empty_like(added) : at::Tensor();
    const Groups groups(x);
    const float *mean = moments.const_data_ptr<float>(), *rstd = mean + groups.count;
    const auto sums_of = [](const at::Tensor& sums, std::int64_t first) {
      return sums.defined() ? sums.mutable_data_ptr<float>() + first : nullptr;
    };
    by_type(x, [&](auto zero) {
      using E = decltype(zero);
      each_task(groups.count, [&](std::int64_t i, Arena& arena) {
        const std::int64_t channel = i * groups.rows.count, at = i * groups.numbers;
        norm_silu_backward<E>(groups.rows, d.const_data_ptr<E>() + at, x.const_data_ptr<E>() + at,
                              {terms_of(added, channel), terms_of(gain, channel), terms_of(shift, channel)}, mean[i],
                              rstd[i], arena.take<float>(groups.numbers), dx.mutable_data_ptr<E>() + at,
                              {sums_of(dadded, channel), sums_of(dgain, channel), sums_of(dshift, channel)});
      });
    });
    return {dx, dadded, dgain, dshift};
  }
};

}  // namespace

at::Tensor norm_silu(const at::Tensor& x, const at::Tensor& added, const GroupNorm& norm) {
  if (!on_host(x)) return at::silu(norm(added.defined() ? x + over_places(added, x) : x));
  const auto also = added.defined() ? std::optional(per_sample(added, x)) : std::nullopt;
  return NormSilu::apply(x, also, per_sample(norm.weight, x), per_sample(norm.bias, x));
}

at::Tensor modulated_norm_silu(const at::Tensor& x, const GroupNorm& norm, const at::Tensor& scale,
                               const at::Tensor& shift) {
  if (!on_host(x)) {
    const at::Tensor normed = norm(x);  // 1 + scale would lose a small scale in bf16
    return at::silu(at::addcmul(normed + over_places(shift, x), normed, over_places(scale, x)));
  }
  const at::Tensor factor = per_sample(scale, x) + 1.0;  // (N, C)
  const at::Tensor gain = factor * norm.weight.to(at::kFloat);
  return NormSilu::apply(x, std::optional<at::Tensor>(), gain, at::addcmul(per_sample(shift, x), factor, norm.bias.to(at::kFloat)));
}

}  // namespace pathline::model

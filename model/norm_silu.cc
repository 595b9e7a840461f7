// SPDX-License-Identifier: Apache-2.0
#include "model/norm_silu.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/custom_function.h>

#include <numeric>
#include <optional>
#include <type_traits>

#include "model/convolution.h"
#include "model/first_derivatives.h"
#include "model/lanes.h"
#include "model/norm_silu_kernels.h"
#include "model/token_chunks.h"

namespace pathline::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kGroups = 32;
constexpr std::int64_t kSlab = 64;  // channels of a task: a quarter of a megabyte for 32 x 32 places
constexpr auto kLayout = at::MemoryFormat::ChannelsLast;

/// (N, C, 1, 1), in x's type.
at::Tensor over_places(const at::Tensor& terms, const at::Tensor& x) {
  return terms.to(x.scalar_type()).unsqueeze(2).unsqueeze(3);
}

/// (C) or (N, C) -> (N, C) in fp32.
at::Tensor per_sample(const at::Tensor& terms, const at::Tensor& x) {
  return terms.to(at::kFloat).expand({x.size(0), x.size(1)});
}

/// x (N, C, H, W), channels last, cut into tasks: some whole groups of one sample, which come as whole lanes, and so
/// few channels that all their places stay in the second-level cache.
struct Slabs {
  Slabs(const at::Tensor& x, bool silu) : all(x.size(1)) {
    const std::int64_t group = all / kGroups;
    std::int64_t channels = std::lcm(group, kLanes);
    while (channels < kSlab && all % (2 * channels) == 0) channels *= 2;
    size = {x.size(2) * x.size(3), channels, all, group, silu};
    per_sample = all / channels;
    count = x.size(0) * per_sample;
  }
  /// Of task `i`: the first of its terms (N, C), and of its numbers in x.
  std::int64_t term(std::int64_t i) const { return i * size.channels; }
  std::int64_t place(std::int64_t i) const {
    return i / per_sample * all * size.places + i % per_sample * size.channels;
  }

  std::int64_t all, per_sample = 0, count = 0;
  GroupSize size{};
};

const float* terms_of(const at::Tensor& terms, std::int64_t first) {
  return terms.defined() ? terms.const_data_ptr<float>() + first : nullptr;
}

struct NormSilu : torch::autograd::Function<NormSilu> {
  /// added, gain, shift: (N, C) fp32.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& any_x,
                            const std::optional<at::Tensor>& any_added, const at::Tensor& any_gain,
                            const at::Tensor& any_shift, bool silu) {
    const at::Tensor x = any_x.contiguous(kLayout), gain = any_gain.contiguous(), shift = any_shift.contiguous();
    const at::Tensor added = any_added ? any_added->contiguous() : at::Tensor();
    const Slabs slabs(x, silu);
    const at::Tensor out = at::empty_like(x, {}, kLayout), moments = at::empty({2, gain.numel()}, gain.options());
    float *mean = moments.mutable_data_ptr<float>(), *rstd = mean + moments.stride(0);
    by_type(x, [&](auto zero) {
      using E = decltype(zero);
      each_task(slabs.count, [&](std::int64_t i, Arena& arena) {
        const std::int64_t term = slabs.term(i), place = slabs.place(i);
        norm_silu_forward<E>(slabs.size, x.const_data_ptr<E>() + place,
                             {terms_of(added, term), terms_of(gain, term), terms_of(shift, term)},
                             arena.take<double>(4 * slabs.size.channels), out.mutable_data_ptr<E>() + place,
                             mean + term, rstd + term);
      });
    });
    context->save_for_backward({x, added, gain, shift, moments});
    context->saved_data["silu"] = silu;
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    refuse_second_derivatives();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &added = saved[1], &gain = saved[2], &shift = saved[3], &moments = saved[4];
    const at::Tensor d = gradients[0].contiguous(kLayout), dx = at::empty_like(x, {}, kLayout),
                     dgain = at::empty_like(gain), dshift = at::empty_like(shift),
                     dadded = added.defined() ? at::empty_like(added) : at::Tensor();
    const Slabs slabs(x, context->saved_data["silu"].toBool());
    const std::int64_t channels = slabs.size.channels;
    const float *mean = moments.const_data_ptr<float>(), *rstd = mean + moments.stride(0);
    const auto sums_of = [](const at::Tensor& sums, std::int64_t first) {
      return sums.defined() ? sums.mutable_data_ptr<float>() + first : nullptr;
    };
    by_type(x, [&](auto zero) {
      using E = decltype(zero);
      each_task(slabs.count, [&](std::int64_t i, Arena& arena) {
        const std::int64_t term = slabs.term(i), place = slabs.place(i);
        E* out = dx.mutable_data_ptr<E>() + place;
        double* scratch = arena.take<double>(4 * channels);
        float* g;
        if constexpr (std::is_same_v<E, float>) {
          g = out;
        } else {
          g = arena.take<float>(slabs.size.places * channels);
        }
        norm_silu_backward<E>(slabs.size, d.const_data_ptr<E>() + place, x.const_data_ptr<E>() + place,
                              {terms_of(added, term), terms_of(gain, term), terms_of(shift, term)}, mean + term,
                              rstd + term, scratch, g, std::is_same_v<E, float> ? slabs.all : channels, out,
                              {sums_of(dadded, term), sums_of(dgain, term), sums_of(dshift, term)});
      });
    });
    return {dx, dadded, dgain, dshift, at::Tensor()};
  }
};

}  // namespace

at::Tensor norm_silu(const at::Tensor& x, const at::Tensor& added, const GroupNorm& norm) {
  if (!is_host_map(x)) return at::silu(norm(added.defined() ? x + over_places(added, x) : x));
  const auto also = added.defined() ? std::optional(per_sample(added, x)) : std::nullopt;
  return NormSilu::apply(x, also, per_sample(norm.weight, x), per_sample(norm.bias, x), true);
}

at::Tensor modulated_norm_silu(const at::Tensor& x, const GroupNorm& norm, const at::Tensor& scale,
                               const at::Tensor& shift) {
  if (!is_host_map(x)) {
    const at::Tensor normed = norm(x);  // 1 + scale would lose a small scale in bf16
    return at::silu(at::addcmul(normed + over_places(shift, x), normed, over_places(scale, x)));
  }
  const at::Tensor factor = per_sample(scale, x) + 1.0;  // (N, C)
  const at::Tensor gain = factor * norm.weight.to(at::kFloat);
  const at::Tensor start = at::addcmul(per_sample(shift, x), factor, norm.bias.to(at::kFloat));
  return NormSilu::apply(x, std::optional<at::Tensor>(), gain, start, true);
}

at::Tensor norm_rows(const at::Tensor& x, const GroupNorm& norm) {
  if (!is_host_map(x)) return norm(x).flatten(2).transpose(1, 2).contiguous();
  const at::Tensor normed =
      NormSilu::apply(x, std::optional<at::Tensor>(), per_sample(norm.weight, x), per_sample(norm.bias, x), false);
  return normed.permute({0, 2, 3, 1}).flatten(1, 2);
}

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
//
// Note [Channels last]
// oneDNN computes on blocks of channels that lie side by side. From NCHW it copies every activation into that layout
// and back, four times per convolution and training step: 28 % of the time of a U-Net's convolutions; NHWC it takes as
// it is, and so do the tiles of winograd.h. ATen's own copy of a weight to NHWC is several times slower than
// transpose(), so it is done here, in the backward pass once more: a second copy of all weights would have to be kept
// between the passes.
#include "model/convolution.h"

#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/first_derivatives.h"
#include "model/layout_kernels.h"
#include "model/token_chunks.h"
#include "model/winograd.h"

namespace pathline::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// The same tensor (out, in, k, k) in another layout, for each `out` a matrix turned.
at::Tensor in_layout(const at::Tensor& weight, at::MemoryFormat to) {
  if (weight.is_contiguous(to)) return weight;
  at::Tensor result = at::empty(weight.sizes(), weight.options().memory_format(to));
  const std::int64_t in = weight.size(1), taps = weight.size(2) * weight.size(3);
  const Rows rows = to == at::MemoryFormat::ChannelsLast ? Rows{in, taps} : Rows{taps, in};
  by_type(weight, [&](auto zero) {
    using E = decltype(zero);
    const E* from = weight.const_data_ptr<E>();
    E* out = result.mutable_data_ptr<E>();
    each_task(weight.size(0), [&](std::int64_t i, Arena&) {
      transpose<E, E>(rows, from + i * in * taps, rows.width, out + i * in * taps, rows.count);
    });
  });
  return result;
}

struct HostConvolution : torch::autograd::Function<HostConvolution> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& any_x, const at::Tensor& weight,
                            const at::Tensor& bias, std::int64_t stride) {
    const at::Tensor x = any_x.contiguous(at::MemoryFormat::ChannelsLast);
    const std::int64_t padding = weight.size(2) / 2;
    context->save_for_backward({x, weight});
    context->saved_data["stride"] = stride;
    if (can_filter_minimally(x, weight, stride)) return winograd_convolution(x, weight, bias);
    return at::convolution(x, in_layout(weight, at::MemoryFormat::ChannelsLast), bias, {stride, stride},
                           {padding, padding}, {1, 1}, false, {0, 0}, 1);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    refuse_second_derivatives();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1];
    const at::Tensor d = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    const std::int64_t padding = weight.size(2) / 2, stride = context->saved_data["stride"].toInt();
    const bool for_x = context->needs_input_grad(0), for_weight = context->needs_input_grad(1),
               for_bias = context->needs_input_grad(2);
    if (can_filter_minimally(x, weight, stride)) {
      const at::Tensor dx = for_x ? winograd_input_gradient(d, weight) : at::Tensor();
      if (!for_weight && !for_bias) return {dx, at::Tensor(), at::Tensor(), at::Tensor()};
      const FilterGradients filters = winograd_filter_gradients(x, d);
      return {dx, filters.weight, filters.bias, at::Tensor()};
    }
    const auto [dx, dweight, dbias] = at::convolution_backward(
        d, x, in_layout(weight, at::MemoryFormat::ChannelsLast), at::IntArrayRef{weight.size(0)}, {stride, stride},
        {padding, padding}, {1, 1}, false, {0, 0}, 1, {for_x, for_weight, for_bias});
    return {dx, for_weight ? in_layout(dweight, at::MemoryFormat::Contiguous) : dweight, dbias, at::Tensor()};
  }
};

}  // namespace

bool is_host_map(const at::Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

at::Tensor host_convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                            std::int64_t stride) {
  return HostConvolution::apply(x, weight.contiguous(), bias.contiguous(), stride);
}

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
// Autograd around fused_kernels.h for fp32 on the host; plain ATen for other types and devices.
//
// Note [What fusing saves]
// Plain ATen passes over (N, T, D) about ten times for the gradients of one modulated norm and one gated residual:
// products, their sums over tokens, the norm's own gradient. One pass each is enough; with D in the hundreds these
// pieces are bound by memory, not arithmetic.
#include "model/fused.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/layer_norm.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/error.h"
#include "model/fused_kernels.h"

namespace pathline::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// body(i, size) for every sample i of x (N, T, D), samples shared among threads.
template <class Body>
void each_sample(const at::Tensor& x, const Body& body) {
  const SampleSize size{x.size(1), x.size(2)};
  at::parallel_for(0, x.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) body(i, size);
  });
}

/// Element 0 of sample i.
const float* at_sample(const at::Tensor& x, std::int64_t i) { return x.const_data_ptr<float>() + i * x.stride(0); }
float* mutable_sample(at::Tensor& x, std::int64_t i) { return x.mutable_data_ptr<float>() + i * x.stride(0); }

/// Rows that are contiguous in themselves (a slice of the modulation (N, 6 D) is) need no copy.
at::Tensor dense_rows(const at::Tensor& x) { return x.stride(-1) == 1 ? x : x.contiguous(); }

void refuse_second_derivatives() {
  PL_CHECK(!at::GradMode::is_enabled(), core::ExitCode::kUsage,
           "second derivatives of a transformer are not available (its fused layers give first derivatives only). Use "
           "an MLP for objectives that differentiate a divergence.");
}

struct ModulatedNorm : Function<ModulatedNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_any, const at::Tensor& shift_any,
                            const at::Tensor& scale_any) {
    const at::Tensor x = x_any.contiguous(), shift = dense_rows(shift_any), scale = dense_rows(scale_any);
    at::Tensor out = at::empty_like(x), mean = at::empty({x.size(0), x.size(1)}, x.options()),
               rstd = at::empty_like(mean);
    each_sample(x, [&](std::int64_t i, SampleSize size) {
      modulated_norm_forward(size, at_sample(x, i), at_sample(shift, i), at_sample(scale, i), mutable_sample(out, i),
                             mutable_sample(mean, i), mutable_sample(rstd, i));
    });
    context->save_for_backward({x, scale, mean, rstd});
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    refuse_second_derivatives();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor d = gradients[0].contiguous();
    const at::Tensor &x = saved[0], &scale = saved[1], &mean = saved[2], &rstd = saved[3];
    at::Tensor dx = at::empty_like(x), dshift = at::empty({x.size(0), x.size(2)}, x.options()),
               dscale = at::empty_like(dshift);
    each_sample(x, [&](std::int64_t i, SampleSize size) {
      modulated_norm_backward(size, at_sample(d, i), at_sample(x, i), at_sample(scale, i), at_sample(mean, i),
                              at_sample(rstd, i), mutable_sample(dx, i), mutable_sample(dshift, i),
                              mutable_sample(dscale, i));
    });
    return {dx, dshift, dscale};
  }
};

struct GatedResidual : Function<GatedResidual> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_any, const at::Tensor& gate_any,
                            const at::Tensor& y_any) {
    const at::Tensor x = x_any.contiguous(), gate = dense_rows(gate_any), y = y_any.contiguous();
    at::Tensor out = at::empty_like(x);
    each_sample(x, [&](std::int64_t i, SampleSize size) {
      gated_residual_forward(size, at_sample(x, i), at_sample(gate, i), at_sample(y, i), mutable_sample(out, i));
    });
    context->save_for_backward({gate, y});
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    refuse_second_derivatives();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor d = gradients[0].contiguous(), &gate = saved[0], &y = saved[1];
    at::Tensor dy = at::empty_like(y), dgate = at::empty({y.size(0), y.size(2)}, y.options());
    each_sample(y, [&](std::int64_t i, SampleSize size) {
      gated_residual_backward(size, at_sample(d, i), at_sample(gate, i), at_sample(y, i), mutable_sample(dgate, i),
                              mutable_sample(dy, i));
    });
    return {d, dgate, dy};
  }
};

bool has_kernels(const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat; }

}  // namespace

at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale) {
  if (has_kernels(x)) return ModulatedNorm::apply(x, shift, scale);
  const at::Tensor normed = at::layer_norm(x, {x.size(-1)}, {}, {}, 1e-6);
  return at::addcmul(shift.unsqueeze(1), normed, scale.unsqueeze(1) + 1.0);
}

at::Tensor gated_residual(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& y) {
  if (has_kernels(x)) return GatedResidual::apply(x, gate, y);
  return at::addcmul(x, gate.unsqueeze(1), y);
}

}  // namespace pathline::model

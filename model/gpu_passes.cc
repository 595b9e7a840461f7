// SPDX-License-Identifier: Apache-2.0
#include "model/gpu_passes.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdint>

#include "core/error.h"
#include "model/first_derivatives.h"
#include "model/gpu_pass_kernels.h"

namespace pathline::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

PassType type_of(const at::Tensor& x) { return x.scalar_type() == at::kFloat ? PassType::kFloat : PassType::kBFloat16; }

PassShape shape_of(const at::Tensor& x, const at::Tensor& modulation) {
  return {type_of(x), x.size(0), x.size(1), x.size(2), modulation.stride(0)};
}

bool on_boundary(const at::Tensor& x) { return reinterpret_cast<std::uintptr_t>(x.const_data_ptr()) % 16 == 0; }

/// With what the kernels ask for: rows contiguous in themselves (a slice of the modulation (N, 6 D) is), on 16 bytes.
at::Tensor ready_rows(const at::Tensor& rows) {
  const bool ready = rows.stride(1) == 1 && rows.stride(0) * rows.element_size() % 16 == 0 && on_boundary(rows);
  return ready ? rows : rows.clone(at::MemoryFormat::Contiguous);
}
at::Tensor ready(const at::Tensor& x) {
  return x.is_contiguous() && on_boundary(x) ? x : x.clone(at::MemoryFormat::Contiguous);
}

c10::cuda::CUDAStream stream() { return c10::cuda::getCurrentCUDAStream(); }

at::Tensor fp32_like(const at::Tensor& x, at::IntArrayRef sizes) {
  return at::empty(sizes, x.options().dtype(at::kFloat));
}

/// partials (N, chunks, sums, D) fp32 -> (N, sums, D) in the type of x.
at::Tensor added_up(const at::Tensor& partials, const at::Tensor& x) { return partials.sum(1).to(x.scalar_type()); }

struct ModulatedNorm : Function<ModulatedNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_any, const at::Tensor& shift_any,
                            const at::Tensor& scale_any) {
    const c10::cuda::CUDAGuard device(x_any.device());
    const at::Tensor x = ready(x_any);
    at::Tensor shift = ready_rows(shift_any), scale = ready_rows(scale_any);
    if (shift.stride(0) != scale.stride(0)) shift = shift.contiguous(), scale = scale.contiguous();
    at::Tensor out = at::empty_like(x), mean = fp32_like(x, {x.size(0), x.size(1)}), rstd = at::empty_like(mean);
    modulated_norm_forward(shape_of(x, scale), x.const_data_ptr(), shift.const_data_ptr(), scale.const_data_ptr(),
                           out.mutable_data_ptr(), mean.mutable_data_ptr<float>(), rstd.mutable_data_ptr<float>(),
                           stream().stream());
    context->save_for_backward({x, scale, mean, rstd});
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    refuse_second_derivatives();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &scale = saved[1], d = ready(gradients[0]);
    const c10::cuda::CUDAGuard device(x.device());
    at::Tensor dx = at::empty_like(x), partials = fp32_like(x, {x.size(0), pass_chunks(x.size(1)), 2, x.size(2)});
    modulated_norm_backward(shape_of(x, scale), d.const_data_ptr(), x.const_data_ptr(), scale.const_data_ptr(),
                            saved[2].const_data_ptr<float>(), saved[3].const_data_ptr<float>(), dx.mutable_data_ptr(),
                            partials.mutable_data_ptr<float>(), stream().stream());
    const at::Tensor sums = added_up(partials, x);
    return {dx, sums.select(1, 0), sums.select(1, 1)};
  }
};

struct GatedResidual : Function<GatedResidual> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_any, const at::Tensor& gate_any,
                            const at::Tensor& y_any) {
    const c10::cuda::CUDAGuard device(x_any.device());
    const at::Tensor x = ready(x_any), gate = ready_rows(gate_any), y = ready(y_any);
    at::Tensor out = at::empty_like(x);
    gated_residual_forward(shape_of(x, gate), x.const_data_ptr(), gate.const_data_ptr(), y.const_data_ptr(),
                           out.mutable_data_ptr(), stream().stream());
    context->save_for_backward({gate, y});
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    refuse_second_derivatives();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &gate = saved[0], &y = saved[1], d = ready(gradients[0]);
    const c10::cuda::CUDAGuard device(y.device());
    at::Tensor dy = at::empty_like(y), partials = fp32_like(y, {y.size(0), pass_chunks(y.size(1)), 1, y.size(2)});
    gated_residual_backward(shape_of(y, gate), d.const_data_ptr(), gate.const_data_ptr(), y.const_data_ptr(),
                            dy.mutable_data_ptr(), partials.mutable_data_ptr<float>(), stream().stream());
    return {d, added_up(partials, y).select(1, 0), dy};
  }
};

}  // namespace

bool has_gpu_passes(const at::Tensor& x) {
  return x.is_cuda() && x.dim() == 3 && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) &&
         x.size(0) <= kMostPassSamples && fits_passes(x.size(2), type_of(x));
}

at::Tensor gpu_modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale) {
  PL_ASSERT(shift.scalar_type() == x.scalar_type() && scale.scalar_type() == x.scalar_type());
  return ModulatedNorm::apply(x, shift, scale);
}

at::Tensor gpu_gated_residual(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& y) {
  PL_ASSERT(gate.scalar_type() == x.scalar_type() && y.scalar_type() == x.scalar_type());
  return GatedResidual::apply(x, gate, y);
}

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
#include "model/gpu_dropout.h"

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>

#include "core/cuda_draws.h"
#include "core/error.h"
#include "core/random.h"

namespace pathline::model {

at::Tensor gpu_dropout_mask(const at::Tensor& x, double rate, const Condition& condition, std::uint32_t layer) {
  PL_ASSERT(condition.positions.size() == static_cast<std::size_t>(x.size(0)));
  const c10::cuda::CUDAGuard device(x.device());
  at::Tensor host = at::empty({x.size(0)}, at::TensorOptions().dtype(at::kLong).pinned_memory(true));
  std::ranges::copy(condition.positions, host.mutable_data_ptr<std::int64_t>());
  const at::Tensor positions = host.to(x.device(), at::kLong, /*non_blocking=*/true);
  const core::Draws draws(condition.seed, 0, core::Purpose::kDropout, layer);
  at::Tensor mask = at::empty(x.sizes(), x.options().dtype(at::kFloat));
  core::fill_draws_cuda(core::DrawLaw::kUniform, draws.seed, draws.purpose, positions.const_data_ptr<std::int64_t>(),
                        x.size(0), x.numel() / x.size(0), mask.mutable_data_ptr<float>(),
                        c10::cuda::getCurrentCUDAStream().stream());
  const float threshold = static_cast<float>(rate), kept = static_cast<float>(1.0 / (1.0 - rate));
  return mask.ge(threshold).to(at::kFloat).mul_(kept);
}

}  // namespace pathline::model

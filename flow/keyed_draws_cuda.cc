// SPDX-License-Identifier: Apache-2.0
#include "flow/keyed_draws_cuda.h"

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <vector>

#include "core/cuda_draws.h"
#include "core/error.h"

namespace pathline::flow {

at::Tensor keyed_noise_on_gpu(std::uint64_t seed, core::Purpose purpose, const at::Tensor& positions,
                              at::IntArrayRef shape) {
  PL_ASSERT(positions.is_cuda() && positions.is_contiguous() && positions.scalar_type() == at::kLong);
  const c10::cuda::CUDAGuard device(positions.device());
  const std::int64_t rows = positions.size(0);
  std::vector<std::int64_t> sizes{rows};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  at::Tensor noise = at::empty(sizes, positions.options().dtype(at::kFloat));
  core::fill_draws_cuda(core::DrawLaw::kNormal, seed, static_cast<std::uint32_t>(purpose),
                        positions.const_data_ptr<std::int64_t>(), rows, rows == 0 ? 0 : noise.numel() / rows,
                        noise.mutable_data_ptr<float>(), c10::cuda::getCurrentCUDAStream().stream());
  return noise;
}

}  // namespace pathline::flow

// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"
#include "flow/keyed_draws_cuda.h"

namespace pathline::flow {

at::Tensor keyed_noise_on_gpu(std::uint64_t, core::Purpose, const at::Tensor&, at::IntArrayRef) {
  PL_ASSERT(false);  // no tensor is on a GPU in a build without CUDA
}

}  // namespace pathline::flow

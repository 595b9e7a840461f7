// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"
#include "model/gpu_passes.h"

namespace pathline::model {

bool has_gpu_passes(const at::Tensor&) { return false; }

at::Tensor gpu_modulated_norm(const at::Tensor&, const at::Tensor&, const at::Tensor&) { PL_ASSERT(false); }

at::Tensor gpu_gated_residual(const at::Tensor&, const at::Tensor&, const at::Tensor&) { PL_ASSERT(false); }

}  // namespace pathline::model

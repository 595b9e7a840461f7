// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"
#include "model/gpu_dropout.h"

namespace pathline::model {

at::Tensor gpu_dropout_mask(const at::Tensor&, double, const Condition&, std::uint32_t) { PL_ASSERT(false); }

}  // namespace pathline::model

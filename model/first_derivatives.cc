// SPDX-License-Identifier: Apache-2.0
#include "model/first_derivatives.h"

#include <ATen/core/grad_mode.h>

#include "core/error.h"

namespace pathline::model {

void refuse_second_derivatives() {
  PL_CHECK(!at::GradMode::is_enabled(), core::ExitCode::kUsage,
           "second derivatives of a transformer or a U-Net are not available (its fused layers give first derivatives "
           "only). Use "
           "an MLP for objectives that differentiate a divergence.");
}

}  // namespace pathline::model

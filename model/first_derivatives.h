// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace pathline::model {

/// In the backward pass of a fused layer: throws ExitCode::kUsage if it is to be differentiated again.
void refuse_second_derivatives();

}  // namespace pathline::model

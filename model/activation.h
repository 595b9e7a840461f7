// SPDX-License-Identifier: Apache-2.0
// The functions between the layers of small networks (model.activation).
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace pathline::model {

enum class Activation { kSelu, kSilu, kTanh };

/// "selu" | "silu" | "tanh". Throws ExitCode::kUsage for another.
Activation parse_activation(const std::string& name);

at::Tensor activated(Activation activation, const at::Tensor& x);

/// Whether its first derivative is continuous, so that a divergence may be differentiated: SELU's jumps at 0.
bool has_smooth_derivative(Activation activation);

}  // namespace pathline::model

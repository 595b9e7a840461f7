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

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
#include "model/activation.h"

#include <ATen/ops/selu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tanh.h>

#include "core/choice.h"

namespace pathline::model {

Activation parse_activation(const std::string& name) {
  core::check_choice("model.activation", name, {"selu", "silu", "tanh"});
  if (name == "selu") return Activation::kSelu;
  return name == "silu" ? Activation::kSilu : Activation::kTanh;
}

at::Tensor activated(Activation activation, const at::Tensor& x) {
  switch (activation) {
    case Activation::kSelu:
      return at::selu(x);
    case Activation::kSilu:
      return at::silu(x);
    case Activation::kTanh:
      return at::tanh(x);
  }
  return x;
}

}  // namespace pathline::model

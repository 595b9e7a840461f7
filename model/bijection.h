// SPDX-License-Identifier: Apache-2.0
// A network that maps data to noise one to one, so that the density of the data follows by change of variables:
// log p(x) = log N(z(x)) + log |det dz/dx| (Dinh, Sohl-Dickstein, Bengio, arXiv 1605.08803).
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "model/module.h"

namespace pathline::model {

class Bijection : public Module {
 public:
  struct Noise {
    at::Tensor z;        // x's shape, fp32
    at::Tensor log_det;  // (N) log |det dz/dx|, fp32
  };

  /// x (N, C, H, W) or (N, D) fp32. Differentiable in x and in the parameters.
  virtual Noise to_noise(const at::Tensor& x, const Condition& condition) = 0;

  /// The inverse of to_noise(), in closed form.
  virtual at::Tensor to_data(const at::Tensor& z, const Condition& condition) = 0;
};

/// `module` itself. Throws ExitCode::kUsage if it is another kind of network; `user` is who needs a bijection.
Bijection& as_bijection(Module& module, const std::string& user);

/// (N) fp64, nats: log N(z) + log |det dz/dx|.
at::Tensor log_density(Bijection& model, const at::Tensor& x, const Condition& condition);

}  // namespace pathline::model

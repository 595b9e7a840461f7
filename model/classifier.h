// SPDX-License-Identifier: Apache-2.0
// A classifier of noisy samples: p(label | x, t), whose gradient in x guides samplers (Dhariwal and Nichol, "Diffusion
// models beat GANs on image synthesis", arXiv 2105.05233, section 4).
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "model/module.h"

namespace pathline::model {

class Classifier : public Module {
 public:
  /// (N, classes) fp32, softmax of which is p(label | x, t): x (N, C, H, W) for images or (N, D) for points, fp32, t
  /// (N) fp32 flow time. Differentiable in x and in the parameters; a row's logits depend on that row alone.
  virtual at::Tensor logits(const at::Tensor& x, const at::Tensor& t) = 0;
  /// (N, D) fp32: what the last layer, which is linear, makes logits of. For comparing sets.
  virtual at::Tensor features(const at::Tensor& x, const at::Tensor& t) = 0;
};

/// `module` itself. Throws ExitCode::kUsage if it is another kind of network; `user` is who needs a classifier.
Classifier& as_classifier(Module& module, const std::string& user);

}  // namespace pathline::model

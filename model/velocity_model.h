// SPDX-License-Identifier: Apache-2.0
// The network behind the velocity field. torch::nn stays in model/*.cc.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "model/module.h"

namespace pathline::model {

class VelocityModel : public Module {
 public:
  /// v(x, t | condition): x (N, C, H, W) fp32 for images or (N, D) for points, t (N) fp32 flow time (0 noise, 1 data).
  /// Returns x's shape, fp32 (the extra channels of learn_sigma are cut off). Maps t as options().time_input says.
  virtual at::Tensor velocity(const at::Tensor& x, const at::Tensor& t, const Condition& condition) = 0;

  /// What the original's forward returns: with learn_sigma twice the channels (but SiT drops the second half). `t` is
  /// what the original network is fed (not flow time): for proofs against original code.
  virtual at::Tensor forward_as_original(const at::Tensor& x, const at::Tensor& t, const Condition& condition) = 0;
};

/// make_module() of a velocity model. Throws ExitCode::kUsage for another kind of network too.
std::unique_ptr<VelocityModel> make_model(const ModelOptions& options, std::uint64_t seed);

/// `module` itself. Throws ExitCode::kUsage if it is another kind of network; `user` ("flow.objective = \"flow\"",
/// "classifier-free guidance") is who needs a velocity.
VelocityModel& as_velocity_model(Module& module, const std::string& user);

}  // namespace pathline::model

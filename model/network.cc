// SPDX-License-Identifier: Apache-2.0
#include "model/network.h"

#include "core/error.h"
#include "model/option_checks.h"

namespace pathline::model {

at::Tensor Network::forward_fp32(const at::Tensor& x, const at::Tensor& t, const Condition& condition) {
  const at::ScalarType type = parameters().front().tensor.scalar_type();
  return forward(x.to(type), t, condition);
}

void Network::set_activation_checkpointing(std::int64_t every) {
  PL_ASSERT(every >= 0);
  PL_CHECK(every == 0 || family_of(options().name) != Family::kMlp, core::ExitCode::kUsage,
           "train.activation_checkpointing is asked for, but ", options().name,
           " has no blocks (its activations are small). Use \"none\".");
  recompute_every_ = static_cast<std::size_t>(every);
}

at::Tensor Network::run_block(std::size_t number, const BlockFunction& block, at::TensorList inputs,
                              const std::vector<at::Tensor>& parameters) const {
  const bool again = recompute_every_ > 0 && (number + 1) % recompute_every_ == 0;
  return again ? recomputed(block, inputs, parameters) : block(inputs);
}

at::Tensor Network::velocity(const at::Tensor& x, const at::Tensor& t, const Condition& condition) {
  const at::Tensor out = forward_fp32(x, network_time(time_input_, t), condition);
  return out.size(1) == x.size(1) ? out : out.narrow(1, 0, x.size(1));
}

at::Tensor Network::forward_as_original(const at::Tensor& x, const at::Tensor& t, const Condition& condition) {
  const at::Tensor out = forward_fp32(x, t, condition);
  // SiT's own forward drops the second half; DiT's and ADM's return it.
  const bool drops_sigma = options().name.starts_with("SiT") || options().name.starts_with("LightningDiT");
  return drops_sigma ? out.narrow(1, 0, x.size(1)) : out;
}

}  // namespace pathline::model

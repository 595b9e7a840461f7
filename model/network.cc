// SPDX-License-Identifier: Apache-2.0
#include "model/network.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include "core/error.h"
#include "model/option_checks.h"

namespace pathline::model {

at::Tensor Network::forward_fp32(const at::Tensor& x, const at::Tensor& t, const Condition& condition) {
  const at::ScalarType type = parameters().front().tensor.scalar_type();
  if (!options().inpaint) return forward(x.to(type), t, condition);
  PL_CHECK(condition.known.defined(), core::ExitCode::kUsage, "this network fills in what is not known of a sample ",
           "(model.inpaint), and nothing says what is known. Sample it with `pathline sample --mask SET.h5`.");
  return forward(at::cat({x.to(type), condition.known.to(type)}, 1), t, condition);
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
  const std::int64_t channels = x.size(1);
  const at::Tensor velocity = out.size(1) == channels ? out : out.narrow(1, 0, channels);
  if (!options().inpaint) return velocity;
  const at::Tensor& known = condition.known;
  return velocity * (1 - known.narrow(1, channels, known.size(1) - channels));  // what is known does not move
}

at::Tensor Network::forward_as_original(const at::Tensor& x, const at::Tensor& t, const Condition& condition) {
  const at::Tensor out = forward_fp32(x, t, condition);
  // SiT's own forward drops the second half; DiT's and ADM's return it.
  const bool drops_sigma = options().name.starts_with("SiT") || options().name.starts_with("LightningDiT");
  return drops_sigma ? out.narrow(1, 0, x.size(1)) : out;
}

}  // namespace pathline::model

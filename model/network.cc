// SPDX-License-Identifier: Apache-2.0
#include "model/network.h"

namespace pathline::model {

at::Tensor Network::forward_fp32(const at::Tensor& x, const at::Tensor& t, const Condition& condition) {
  const at::ScalarType type = parameters().front().tensor.scalar_type();
  return forward(x.to(type), t, condition).to(at::kFloat);
}

at::Tensor Network::velocity(const at::Tensor& x, const at::Tensor& t, const Condition& condition) {
  const at::Tensor out = forward_fp32(x, network_time(time_input_, t), condition);
  return out.size(1) == x.size(1) ? out : out.narrow(1, 0, x.size(1));
}

at::Tensor Network::forward_as_original(const at::Tensor& x, const at::Tensor& t, const Condition& condition) {
  const at::Tensor out = forward_fp32(x, t, condition);
  // SiT's own forward drops the second half; DiT's and ADM's return it.
  const bool drops_sigma = options_.name.starts_with("SiT");
  return drops_sigma ? out.narrow(1, 0, x.size(1)) : out;
}

}  // namespace pathline::model

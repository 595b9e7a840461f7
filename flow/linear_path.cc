// SPDX-License-Identifier: Apache-2.0
#include "flow/linear_path.h"

#include <vector>

namespace pathline::flow {

PathSample linear_path(const at::Tensor& x0, const at::Tensor& x1, const at::Tensor& t) {
  std::vector<std::int64_t> broadcast(static_cast<std::size_t>(x1.dim()), 1);
  broadcast[0] = t.size(0);
  const at::Tensor velocity = x1.sub(x0);
  return {x0.addcmul(velocity, t.view(broadcast)), velocity};
}

at::Tensor squared_error_per_sample(const at::Tensor& prediction, const at::Tensor& target) {
  return prediction.sub(target).square().flatten(1).mean(1);
}

}  // namespace pathline::flow

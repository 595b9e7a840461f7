// SPDX-License-Identifier: Apache-2.0
#include "flow/pixels.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/where.h>

namespace pathline::flow {

at::Tensor values_of_pixels(const at::Tensor& pixels, const at::Tensor& mirrored) {
  constexpr float kScale = 1 / 127.5f;
  const at::Tensor levels = pixels.permute({0, 3, 1, 2}).to(at::kFloat, false, false, at::MemoryFormat::Contiguous);
  const at::Tensor values = levels.mul(kScale).sub(1);  // rounded after each of them, as on the host
  return at::where(mirrored.to(at::kBool).view({-1, 1, 1, 1}), values.flip({3}), values);
}

}  // namespace pathline::flow

// SPDX-License-Identifier: Apache-2.0
// Where a sample starts.
#include <ATen/ops/empty.h>

#include "core/random.h"
#include "sampler/generate.h"

namespace pathline::sampler {

at::Tensor start_noise(std::uint64_t seed, std::int64_t id, at::IntArrayRef shape) {
  const at::Tensor noise = at::empty(shape, at::kFloat);
  const core::Draws draws(seed, static_cast<std::uint64_t>(id), core::Purpose::kGenerationNoise);
  draws.fill_normal({noise.mutable_data_ptr<float>(), static_cast<std::size_t>(noise.numel())});
  return noise;
}

}  // namespace pathline::sampler

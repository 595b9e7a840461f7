// SPDX-License-Identifier: Apache-2.0
#include "flow/keyed_draws.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "flow/keyed_draws_cuda.h"
#include "flow/transfer.h"

namespace pathline::flow {

at::Tensor positions_on(at::Device device, std::span<const std::uint64_t> positions) {
  at::Tensor result = at::empty({static_cast<std::int64_t>(positions.size())}, at::kLong);
  std::ranges::copy(positions, result.mutable_data_ptr<std::int64_t>());
  return sent_to(result, device);
}

at::Tensor keyed_noise(std::uint64_t seed, core::Purpose purpose, std::span<const std::uint64_t> positions,
                       at::IntArrayRef shape, at::Device device) {
  if (device.is_cuda()) return keyed_noise_on_gpu(seed, purpose, positions_on(device, positions), shape);
  std::vector<std::int64_t> sizes{static_cast<std::int64_t>(positions.size())};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  at::Tensor noise = at::empty(sizes, at::kFloat);
  const std::size_t row = positions.empty() ? 0 : static_cast<std::size_t>(noise.numel()) / positions.size();
  float* out = noise.mutable_data_ptr<float>();
  for (std::size_t n = 0; n < positions.size(); ++n) {
    core::Draws(seed, positions[n], purpose).fill_normal({out + n * row, row});
  }
  return noise;
}

at::Tensor keyed_times(std::uint64_t seed, core::Purpose purpose, std::span<const std::uint64_t> positions,
                       const TimeLaw& law) {
  at::Tensor times = at::empty({static_cast<std::int64_t>(positions.size())}, at::kFloat);
  float* out = times.mutable_data_ptr<float>();
  for (std::size_t n = 0; n < positions.size(); ++n) out[n] = law(core::Draws(seed, positions[n], purpose));
  return times;
}

at::Tensor dropped_labels(std::uint64_t seed, std::span<const std::uint64_t> positions,
                          std::span<const std::int64_t> labels, double drop, std::int64_t null_label,
                          at::Device device) {
  PL_ASSERT(positions.size() == labels.size());
  at::Tensor result = at::empty({static_cast<std::int64_t>(labels.size())}, at::kLong);
  std::int64_t* out = result.mutable_data_ptr<std::int64_t>();
  for (std::size_t n = 0; n < labels.size(); ++n) {
    const float coin = core::Draws(seed, positions[n], core::Purpose::kLabelDrop).uniform(0);
    out[n] = coin < drop ? null_label : labels[n];
  }
  return sent_to(result, device);
}

}  // namespace pathline::flow

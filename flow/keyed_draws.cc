// SPDX-License-Identifier: Apache-2.0
#include "flow/keyed_draws.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "flow/keyed_draws_cuda.h"
#include "flow/transfer.h"

namespace pathline::flow {
namespace {

/// (N, shape...) fp32 on the processor: `fill(draws, row)` of every position.
template <class Fill>
at::Tensor filled(std::uint64_t seed, core::Purpose purpose, std::span<const std::uint64_t> positions,
                  at::IntArrayRef shape, const Fill& fill) {
  std::vector<std::int64_t> sizes{static_cast<std::int64_t>(positions.size())};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  at::Tensor values = at::empty(sizes, at::kFloat);
  const std::size_t row = positions.empty() ? 0 : static_cast<std::size_t>(values.numel()) / positions.size();
  float* out = values.mutable_data_ptr<float>();
  for (std::size_t n = 0; n < positions.size(); ++n) {
    fill(core::Draws(seed, positions[n], purpose), std::span(out + n * row, row));
  }
  return values;
}

}  // namespace

at::Tensor positions_on(at::Device device, std::span<const std::uint64_t> positions) {
  at::Tensor result = at::empty({static_cast<std::int64_t>(positions.size())}, at::kLong);
  std::ranges::copy(positions, result.mutable_data_ptr<std::int64_t>());
  return sent_to(result, device);
}

at::Tensor keyed_noise(std::uint64_t seed, core::Purpose purpose, std::span<const std::uint64_t> positions,
                       at::IntArrayRef shape, at::Device device) {
  if (device.is_cuda()) return keyed_noise_on_gpu(seed, purpose, positions_on(device, positions), shape);
  return filled(seed, purpose, positions, shape,
                [](const core::Draws& draws, std::span<float> row) { draws.fill_normal(row); });
}

at::Tensor keyed_uniform(std::uint64_t seed, core::Purpose purpose, std::span<const std::uint64_t> positions,
                         at::IntArrayRef shape, at::Device device) {
  return sent_to(filled(seed, purpose, positions, shape,
                        [](const core::Draws& draws, std::span<float> row) { draws.fill_uniform(row); }),
                 device);
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

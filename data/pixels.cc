// SPDX-License-Identifier: Apache-2.0
#include "data/pixels.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/every_isa.h"

namespace pathline::data {

namespace {

constexpr float kScale = 1 / 127.5f;

/// The number of a level. Compiled without contraction into a fused operation, which would round once less.
inline float value_of(std::uint8_t level) { return static_cast<float>(level) * kScale - 1; }

// One channel after the other: bytes come from the nearest cache every time, and numbers go out in one stream, which is
// faster than a stream for each channel. A stride that is known makes vectors of it.
template <std::size_t kChannels>
inline __attribute__((always_inline)) void planes(const std::uint8_t* in, std::size_t count, float* out) {
  for (std::size_t c = 0; c < kChannels; ++c) {
    for (std::size_t i = 0; i < count; ++i) out[c * count + i] = value_of(in[i * kChannels + c]);
  }
}

PATHLINE_EVERY_ISA void planes_of_1(const std::uint8_t* in, std::size_t count, float* out) {
  planes<1>(in, count, out);
}
PATHLINE_EVERY_ISA void planes_of_3(const std::uint8_t* in, std::size_t count, float* out) {
  planes<3>(in, count, out);
}

void planes_of(const std::uint8_t* in, std::size_t count, std::size_t channels, float* out) {
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t i = 0; i < count; ++i) out[c * count + i] = value_of(in[i * channels + c]);
  }
}

PATHLINE_EVERY_ISA void mirror(float* rows, std::size_t count, std::size_t width) {
  for (std::size_t row = 0; row < count; ++row) std::reverse(rows + row * width, rows + (row + 1) * width);
}

}  // namespace

void pixels_to_values(std::span<const std::byte> pixels, std::int64_t height, std::int64_t width, std::int64_t channels,
                      bool mirrored, std::span<float> out) {
  const auto count = static_cast<std::size_t>(height * width), depth = static_cast<std::size_t>(channels);
  PL_ASSERT(pixels.size() == count * depth && out.size() == pixels.size());
  const auto* in = reinterpret_cast<const std::uint8_t*>(pixels.data());
  if (channels == 1) {
    planes_of_1(in, count, out.data());
  } else if (channels == 3) {
    planes_of_3(in, count, out.data());
  } else {
    planes_of(in, count, depth, out.data());
  }
  if (mirrored) mirror(out.data(), static_cast<std::size_t>(height) * depth, static_cast<std::size_t>(width));
}

void dequantize(const core::Draws& draws, std::span<float> values) {
  thread_local std::vector<float> u;
  u.resize(values.size());
  draws.fill_uniform(u);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += (u[i] - 0.5f) * kScale;
}

}  // namespace pathline::data

// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <numbers>

#include "core/random.h"
#include "data/made.h"

namespace pathline::data {
namespace {

core::Draws draws(std::uint64_t seed, std::uint64_t index) { return {seed, index, core::Purpose::kMadeData}; }

}  // namespace

// Places: 0, 1 the pair of normals (Philox block 0); 4 and on the uniforms.

LabelledPoint moon_point(std::uint64_t seed, std::uint64_t index) {
  const auto draw = draws(seed, index);
  const bool lower = index % 2 == 1;
  const double angle = std::numbers::pi * draw.uniform(4);
  const double x = lower ? 1 - std::cos(angle) : std::cos(angle);
  const double y = lower ? 0.5 - std::sin(angle) : std::sin(angle);
  const double noise = 0.1;
  return {static_cast<float>((x + noise * draw.normal(0)) * 2 - 1),
          static_cast<float>((y + noise * draw.normal(1)) * 2 - 0.2), lower};
}

LabelledPoint checkerboard_point(std::uint64_t seed, std::uint64_t index) {
  const auto draw = draws(seed, index);
  const double x = 4.0 * draw.uniform(4) - 2;
  const double row = draw.bits(6) & 1 ? -2 : 0;
  const double shift = static_cast<std::int64_t>(std::floor(x)) & 1;
  return {static_cast<float>(2 * x), static_cast<float>(2 * (draw.uniform(5) + row + shift)), -1};
}

LabelledPoint eight_gaussians_point(std::uint64_t seed, std::uint64_t index) {
  const auto draw = draws(seed, index);
  const auto label = static_cast<std::int64_t>(index % 8);
  const double angle = std::numbers::pi / 4 * static_cast<double>(label);
  return {static_cast<float>((4 * std::cos(angle) + 0.5 * draw.normal(0)) / std::numbers::sqrt2),
          static_cast<float>((4 * std::sin(angle) + 0.5 * draw.normal(1)) / std::numbers::sqrt2), label};
}

}  // namespace pathline::data

// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "core/random.h"
#include "data/made.h"

namespace pathline::data {
namespace {

core::Draws draws(std::uint64_t seed, std::uint64_t index) { return {seed, index, core::Purpose::kMadeData}; }

}  // namespace

// Places: 0, 1 the pair of normals (Philox block 0); 4 and on the uniforms.

namespace {

constexpr double kMoonNoise = 0.05;

struct Place {
  double x, y;
};

/// Of scikit-learn's two half circles of radius 1.
Place on_moon(bool lower, double angle) {
  if (lower) return {1 - std::cos(angle), 0.5 - std::sin(angle)};
  return {std::cos(angle), std::sin(angle)};
}

}  // namespace

LabelledPoint moon_point(std::uint64_t seed, std::uint64_t index) {
  const auto draw = draws(seed, index);
  const bool lower = index % 2 == 1;
  const Place place = on_moon(lower, std::numbers::pi * draw.uniform(4));
  return {static_cast<float>(place.x + kMoonNoise * draw.normal(0)),
          static_cast<float>(place.y + kMoonNoise * draw.normal(1)), lower};
}

// The mean over both half circles of the normal density around their points, by Simpson's rule: the integrand is as
// wide as the noise, 16 intervals of the rule, so the rule's relative error is about (1/16)^4 / 180, below 1e-6. Sums
// are taken relative to the largest term, so that a point far away has a density, too.
double moon_log_density(double x, double y) {
  constexpr int kIntervals = 1024;
  constexpr double kVariance = kMoonNoise * kMoonNoise;
  std::array<double, 2 * (kIntervals + 1)> exponents{};
  for (std::size_t i = 0; i < exponents.size(); ++i) {
    const Place place = on_moon(i % 2 == 1, std::numbers::pi * static_cast<double>(i / 2) / kIntervals);
    exponents[i] = -((x - place.x) * (x - place.x) + (y - place.y) * (y - place.y)) / (2 * kVariance);
  }
  const double largest = *std::ranges::max_element(exponents);
  double sum = 0;
  for (std::size_t i = 0; i < exponents.size(); ++i) {
    const std::size_t node = i / 2;
    const double weight = node == 0 || node == kIntervals ? 1 : node % 2 == 1 ? 4 : 2;
    sum += weight * std::exp(exponents[i] - largest);
  }
  return largest + std::log(sum / (2 * 3 * kIntervals)) - std::log(2 * std::numbers::pi * kVariance);
}

LabelledPoint gaussian_point(std::uint64_t seed, std::uint64_t index) {
  const auto draw = draws(seed, index);
  const double x = draw.normal(0), y = kGaussianCorrelation * x + 0.6 * draw.normal(1);  // 0.8^2 + 0.6^2 = 1
  return {static_cast<float>(x), static_cast<float>(y), -1};
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

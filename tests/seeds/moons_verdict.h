// SPDX-License-Identifier: Apache-2.0
// Are these points two moons? Two measures that different errors move: the energy distance to fresh data, which sees
// mass in the wrong place, and the share of points where the exact density has next to nothing, which sees blur.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace pathline::tests {

inline constexpr double kEnergyBar = 0.005;         // of draws of 2,000; data against data: about 0.0011
inline constexpr double kOneStepEnergyBar = 0.006;  // of methods that make a sample in one evaluation
inline constexpr double kShareBar = 0.30;
inline constexpr double kUnlikely = -6;  // log-density below which a point counts as none of the moons'

struct MoonsVerdict {
  double energy = 0;  // squared energy distance to the reference, mean of 5 draws
  double floor = 0;   // the same of the reference against itself
  double share = 0;   // of the samples with a log-density below kUnlikely

  bool holds(double energy_bar = kEnergyBar) const { return energy <= energy_bar && share <= kShareBar; }
};

/// samples (N, 2), N >= 2,000; reference (M, 2), M >= 4,000: moons as `pathline data make moons` makes them.
MoonsVerdict judge_moons(const at::Tensor& samples, const at::Tensor& reference);

/// (count, 2) fp32 of `pathline data make moons --seed`.
at::Tensor made_moons(std::int64_t count, std::uint64_t seed);

}  // namespace pathline::tests

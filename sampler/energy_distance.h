// SPDX-License-Identifier: Apache-2.0
// The squared energy distance of two laws, estimated from points of them: 2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely
// and Rizzo, "Energy statistics", J. Stat. Plan. Inference 143, 2013). It is zero for equal laws only.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace pathline::sampler {

/// Of two sets of points, x (N, D) and y (M, D), as a V-statistic: each term a mean over all pairs, a point with itself
/// included. fp64, the same bits with any number of threads; exactly 0 for equal sets. O((N + M)^2 D) operations.
/// Throws ExitCode::kInput for sets that do not fit each other.
double energy_distance(const at::Tensor& x, const at::Tensor& y);

struct EnergyDraws {
  std::int64_t draws = 5;
  std::int64_t points = 2000;  // of either set in a draw
  std::uint64_t seed = 0;
};

/// One number a draw.
struct DrawnEnergy {
  std::vector<double> distance;  // points of the set against points of the data
  std::vector<double> floor;     // these points of the data against as many others of them
};

/// Draws without replacement, keyed by (seed, number of the draw). Needs `points` rows of the set (N, D) and twice as
/// many of the data (M, D); throws ExitCode::kUsage where there are fewer.
DrawnEnergy drawn_energy(const at::Tensor& set, const at::Tensor& data, const EnergyDraws& how);

}  // namespace pathline::sampler

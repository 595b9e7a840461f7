// SPDX-License-Identifier: Apache-2.0
// How straight a model's own trajectories are: S = integral over t of E|v(x_t, t) - (x_1 - x_0)|^2 dt (Liu et al.,
// arXiv 2209.03003, section 2.2). It is zero exactly where every trajectory is a straight line of constant speed: one
// step of Euler's method then makes the sample.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "sampler/field.h"
#include "sampler/generate.h"

namespace pathline::sampler {

struct Straightness {
  double bend = 0;              // S, squares summed over a sample's elements
  double length = 0;            // E|x_1 - x_0|^2
  std::vector<double> by_time;  // E|v - (x_1 - x_0)|^2 at the middles of equal parts of time; S is their mean
  std::int64_t count = 0, failed = 0;

  double relative() const { return bend / length; }
};

/// Of samples [0, count), integrated as `job` says from x_0 to x_1; the field is asked at `times` more places of each
/// trajectory. Sums are in the order of ids. Local. Throws ExitCode::kUsage for a solver that draws noise (its
/// trajectories are no solutions of the field), for guidance, or where count or times are not positive, and
/// ExitCode::kNumerical if all samples failed.
Straightness straightness(const Field& field, const Job& job, std::int64_t count, std::int64_t times,
                          const std::function<std::int64_t(std::int64_t id)>& label_of);

}  // namespace pathline::sampler

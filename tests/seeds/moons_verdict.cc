// SPDX-License-Identifier: Apache-2.0
#include "tests/seeds/moons_verdict.h"

#include <ATen/ops/empty.h>

#include <numeric>
#include <vector>

#include "data/made.h"
#include "sampler/energy_distance.h"

namespace pathline::tests {
namespace {

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

MoonsVerdict judge_moons(const at::Tensor& samples, const at::Tensor& reference) {
  const sampler::DrawnEnergy drawn = sampler::drawn_energy(samples, reference, {});
  const at::Tensor points = samples.to(at::kFloat).contiguous();
  const float* at = points.const_data_ptr<float>();
  std::int64_t unlikely = 0;
  for (std::int64_t i = 0; i < points.size(0); ++i) {
    if (!(data::moon_log_density(at[2 * i], at[2 * i + 1]) >= kUnlikely)) ++unlikely;
  }
  return {mean_of(drawn.distance), mean_of(drawn.floor),
          static_cast<double>(unlikely) / static_cast<double>(points.size(0))};
}

at::Tensor made_moons(std::int64_t count, std::uint64_t seed) {
  at::Tensor points = at::empty({count, 2}, at::kFloat);
  float* out = points.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < count; ++i) {
    const data::LabelledPoint point = data::moon_point(seed, static_cast<std::uint64_t>(i));
    out[2 * i] = point.x;
    out[2 * i + 1] = point.y;
  }
  return points;
}

}  // namespace pathline::tests

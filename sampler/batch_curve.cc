// SPDX-License-Identifier: Apache-2.0
#include "sampler/batch_curve.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "core/machine.h"

namespace pathline::sampler {
namespace {

constexpr std::int64_t kFewest = 16;
constexpr double kWorthwhile = 1.02, kNearlyBest = 0.95;

}  // namespace

double seconds_of_evaluation(const Field& field, const Job& job, std::int64_t slots) {
  const at::NoGradGuard no_grad;
  std::vector<std::int64_t> shape = job.sample_shape;
  shape.insert(shape.begin(), slots);
  const at::Tensor x = at::zeros(shape, at::kFloat), t = at::full({slots}, 0.5, at::kFloat);
  const at::Tensor labels = job.null_label >= 0 ? at::zeros({slots}, at::kLong) : at::Tensor();
  double shortest = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 4; ++i) {
    const double begin = core::monotonic_seconds();
    field(x, t, labels);
    if (i > 0) shortest = std::min(shortest, core::monotonic_seconds() - begin);
  }
  return std::max(shortest, 1e-9);
}

std::vector<BatchPoint> measure_batch_curve(const Field& field, const Job& job, std::int64_t most) {
  std::vector<BatchPoint> curve;
  for (std::int64_t slots = kFewest; slots == kFewest || slots <= most; slots *= 2) {
    try {
      curve.push_back({slots, static_cast<double>(slots) / seconds_of_evaluation(field, job, slots)});
    } catch (const c10::OutOfMemoryError&) {
      if (curve.empty()) throw;
      break;
    }
    const std::size_t n = curve.size();
    if (n > 1 && curve[n - 1].rows_per_second < kWorthwhile * curve[n - 2].rows_per_second) break;
  }
  return curve;
}

std::int64_t best_slots(const std::vector<BatchPoint>& curve) {
  PL_ASSERT(!curve.empty());
  const double best = std::ranges::max(curve, {}, &BatchPoint::rows_per_second).rows_per_second;
  const auto nearly_best = [&](const BatchPoint& point) { return point.rows_per_second >= kNearlyBest * best; };
  return std::ranges::find_if(curve, nearly_best)->slots;
}

}  // namespace pathline::sampler

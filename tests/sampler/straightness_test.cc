// SPDX-License-Identifier: Apache-2.0
// Straightness of fields whose trajectories are known.
#include "sampler/straightness.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "core/error.h"
#include "tests/sampler/fields.h"

namespace pathline::sampler {
namespace {

Job points_job(std::int64_t dimensions = 3) {
  Job job;
  job.sample_shape = {dimensions};
  job.slots = 16;
  job.seed = 4;
  job.solver.rtol = job.solver.atol = 1e-7;
  return job;
}

std::int64_t no_label(std::int64_t) { return -1; }

TEST(Straightness, IsZeroForStraightTrajectories) {
  const Field constant = [](const at::Tensor& x, const at::Tensor&, const at::Tensor&) {
    return at::full_like(x, 0.75);
  };
  const Straightness found = straightness(constant, points_job(), 20, 8, no_label);
  EXPECT_EQ(found.count, 20);
  EXPECT_NEAR(found.length, 3 * 0.75 * 0.75, 1e-5);
  EXPECT_LT(found.bend, 1e-12);  // squares of fp32 rounding of states of about 1
  // x_t = (1 - t) x_0 + t m: straight, although the field depends on x and t; it ends before its pole
  Job job = points_job();
  job.solver.t1 = 0.9;
  const Field to_a_point = [](const at::Tensor& x, const at::Tensor& t, const at::Tensor&) {
    return (2 - x) / (1 - tests::per_row(t, x));
  };
  EXPECT_LT(straightness(to_a_point, job, 20, 8, no_label).relative(), 1e-10);
}

TEST(Straightness, OfAGaussianIsItsClosedForm) {
  // The linear path from N(0, 1) to N(m, s^2): x_t = t m + g(t) x_0, g^2 = (1 - t)^2 + t^2 s^2. The mean moves
  // straight; S = |x_0|^2 (integral of g'^2 - (s - 1)^2) = |x_0|^2 s (2 - pi / 2), since g'^2 = 1 + s^2 - s^2 / g^2 and
  // the integral of 1 / g^2 is pi / (2 s). For m = 0, |x_1 - x_0|^2 = (s - 1)^2 |x_0|^2 for every x_0.
  for (const double s : {0.3, 2.0}) {
    const double expected = s * (2 - std::numbers::pi / 2) / ((s - 1) * (s - 1));
    const Straightness found = straightness(tests::GaussianField{0, s}, points_job(), 20, 64, no_label);
    // The midpoint rule of 64 parts is off by (g'^2)''/24/64^2, below 1e-3 of it for these s.
    EXPECT_NEAR(found.relative(), expected, 1e-3 * expected) << s;
    EXPECT_EQ(found.by_time.size(), 64u);
  }
}

TEST(Straightness, SeesTheLabelOfASample) {
  Job job = points_job();
  job.null_label = 2;
  const Field by_label = [](const at::Tensor& x, const at::Tensor&, const at::Tensor& labels) {
    return at::full_like(x, 1.0) * (1 + labels.to(x.scalar_type()).unsqueeze(1));
  };
  const Straightness found = straightness(by_label, job, 20, 4, [](std::int64_t id) { return id % 2; });
  EXPECT_LT(found.bend, 1e-10);
  EXPECT_NEAR(found.length, 3 * (1 + 4) / 2.0, 1e-5);
}

TEST(Straightness, RefusesWhatIsNoTrajectoryOfTheField) {
  Job job = points_job();
  job.solver.solver = "em";
  EXPECT_THROW(straightness(tests::GaussianField{}, job, 4, 4, no_label), core::Error);
  job = points_job();
  job.solver.guidance = 2;
  EXPECT_THROW(straightness(tests::GaussianField{}, job, 4, 4, no_label), core::Error);
  EXPECT_THROW(straightness(tests::GaussianField{}, points_job(), 0, 4, no_label), core::Error);
  const Field broken = [](const at::Tensor& x, const at::Tensor&, const at::Tensor&) { return x / 0; };
  EXPECT_THROW(straightness(broken, points_job(), 4, 4, no_label), core::Error);
}

}  // namespace
}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
// The same field through torchdiffeq (scripts/solver_parity.py) and through our engine.
#include <ATen/ops/abs.h>
#include <ATen/ops/max.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sampler/generate.h"
#include "sampler/step_control.h"
#include "tests/sampler/fields.h"
#include "tests/sampler/integrate.h"
#include "tests/sampler/torchdiffeq_golden.h"

namespace pathline::sampler {
namespace {

using tests::integrate;

using namespace tests::torchdiffeq_golden;  // tables of numbers

at::Tensor start(at::ScalarType type) { return at::tensor(kStart, at::kDouble).to(type).unsqueeze(0); }

/// Largest |a - b| / (1 + |b|).
double distance(const at::Tensor& a, const std::vector<double>& b) {
  const at::Tensor expected = at::tensor(b, at::kDouble);
  return (at::abs(a.to(at::kDouble).squeeze(0) - expected) / (1 + at::abs(expected))).max().item<double>();
}

TEST(SolverParity, FixedStepsEndWhereTorchdiffeqEnds) {
  for (const FixedSteps& golden : kFixedSteps) {
    SolverOptions options;
    options.solver = golden.solver;
    options.steps = golden.steps;
    const at::Tensor end = integrate(tests::coupled_field, start(at::kFloat), {}, -1, options);
    EXPECT_LT(distance(end, golden.end), 1e-6) << golden.solver;  // a few roundings of fp32
  }
}

TEST(SolverParity, Dopri5ShampineEndsWhereTorchdiffeqEnds) {
  // torchdiffeq steps past t1 and interpolates, we land on it: both are within a few tolerances of the truth.
  for (const Adaptive& golden : kAdaptive) {
    SolverOptions options;
    options.solver = "dopri5-shampine";
    options.rtol = options.atol = golden.tolerance;
    const at::Tensor end = integrate(tests::coupled_field, start(at::kDouble), {}, -1, options);
    EXPECT_LT(distance(end, golden.end), 10 * golden.tolerance) << golden.tolerance;
    const at::Tensor end_fp32 = integrate(tests::coupled_field, start(at::kFloat), {}, -1, options);
    EXPECT_LT(distance(end_fp32, golden.end_fp32), 10 * golden.tolerance) << golden.tolerance;
  }
}

TEST(SolverParity, EvaluatesAtTorchdiffeqsTimesUntilTheLanding) {
  for (const Adaptive& golden : kAdaptive) {
    std::vector<double> times;
    const Field recording = [&](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
      times.push_back(t[0].item<double>());
      return tests::coupled_field(x, t, labels);
    };
    SolverOptions options;
    options.solver = "dopri5-shampine";
    options.rtol = options.atol = golden.tolerance;
    integrate(recording, start(at::kDouble), {}, -1, options);
    const std::size_t landing = times.size() - 6;  // the last step has six evaluations
    ASSERT_LE(landing, golden.times.size());
    ASSERT_GT(landing, 8u) << "too few steps to compare";
    for (std::size_t i = 0; i < landing; ++i) {
      // Error estimates are small differences of large numbers: their last digits depend on the order of summation.
      EXPECT_NEAR(times[i], golden.times[i], 1e-8) << "tolerance " << golden.tolerance << ", evaluation " << i;
    }
    EXPECT_NEAR(static_cast<double>(times.size()), static_cast<double>(golden.times.size()), 6);
  }
}

TEST(SolverParity, StepRulesAreTorchdiffeqs) {
  for (const NextStep& golden : kNextSteps) {
    const double next = golden.ratio <= 1 ? next_step(0.1, golden.ratio, 5) : shorter_step(0.1, golden.ratio, 5);
    EXPECT_DOUBLE_EQ(next, golden.next) << golden.ratio;
  }
  for (const Adaptive& golden : kAdaptive) EXPECT_NEAR(golden.times[7] - golden.times[0], golden.first_step, 1e-12);
}

}  // namespace
}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
// The order of every solver, from halving its step on equations with known solutions.
#include <ATen/ops/abs.h>
#include <ATen/ops/max.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sampler/generate.h"
#include "sampler/slot_engine.h"
#include "sampler/tableau.h"
#include "tests/sampler/fields.h"

namespace pathline::sampler {
namespace {

/// x' = x (1 - x) (1 + cos 3t) / 2: logistic in u = (t + sin(3t) / 3) / 2.
at::Tensor logistic(const at::Tensor& x, const at::Tensor& t, const at::Tensor&) {
  return x * (1 - x) * (1 + at::cos(3 * tests::per_row(t, x))) / 2;
}

double logistic_end(double start) {
  const double growth = std::exp((1.0 + std::sin(3.0) / 3) / 2);
  return start * growth / (1 - start + start * growth);
}

double error_with(const std::string& solver, std::int64_t steps) {
  SolverOptions options;
  options.solver = solver;
  options.steps = steps;
  const at::Tensor end = integrate(logistic, at::tensor({0.2}, at::kDouble).unsqueeze(0), {}, -1, options);
  return std::abs(end.item<double>() - logistic_end(0.2));
}

TEST(SolverOrder, HalvingTheStepOfAFixedSolverShowsItsOrder) {
  for (const std::string solver : {"euler", "midpoint", "heun", "rk4", "rk4_38"}) {
    const double slope = std::log2(error_with(solver, 40) / error_with(solver, 80));
    EXPECT_NEAR(slope, find_tableau(solver).order, 0.2) << solver;
  }
}

TEST(SolverOrder, ErrorOfAnAdaptiveSolverFollowsItsTolerance) {
  for (const std::string solver : {"dopri5", "dopri5-shampine"}) {
    for (const double tolerance : {1e-4, 1e-6, 1e-8, 1e-10}) {
      SolverOptions options;
      options.solver = solver;
      options.rtol = options.atol = tolerance;
      const at::Tensor end = integrate(logistic, at::tensor({0.2}, at::kDouble).unsqueeze(0), {}, -1, options);
      EXPECT_LT(std::abs(end.item<double>() - logistic_end(0.2)), 5 * tolerance) << solver;
    }
  }
}

TEST(SolverOrder, EvaluationsOfAdaptiveStepsGrowWithTheFifthRootOfTheTolerance) {
  const auto nfe_at = [](double tolerance) {
    SolverOptions options;
    options.rtol = options.atol = tolerance;
    std::vector<std::int64_t> nfe;
    integrate(logistic, at::tensor({0.2}, at::kDouble).unsqueeze(0), {}, -1, options, &nfe);
    return static_cast<double>(nfe[0] - 2);
  };
  const double growth = nfe_at(1e-13) / nfe_at(1e-8);
  EXPECT_NEAR(std::log10(growth), 1.0, 0.15);  // 10^5 in tolerance: 10 times the steps
}

TEST(SolverOrder, IntegratesBackwards) {
  for (const std::string solver : {"rk4", "dopri5"}) {
    SolverOptions options;
    options.solver = solver;
    options.rtol = options.atol = 1e-9;
    options.t0 = 1.0;
    options.t1 = 0.0;
    const at::Tensor end = at::tensor({logistic_end(0.2)}, at::kDouble).unsqueeze(0);
    EXPECT_NEAR(integrate(logistic, end, {}, -1, options).item<double>(), 0.2, 1e-7) << solver;
  }
}

TEST(SolverOrder, GaussianFlowReachesItsExactMap) {
  const tests::GaussianField field{0.7, 0.3};
  const at::Tensor x0 = start_noise(3, 0, {16, 32}).to(at::kDouble);
  for (const double tolerance : {1e-3, 1e-5, 1e-7}) {
    SolverOptions options;
    options.rtol = options.atol = tolerance;
    const at::Tensor end = integrate(field, x0, {}, -1, options);
    // The tolerance bounds the error of one step in the mean over elements; the worst of 512 elements at the end is
    // larger (SciPy's RK45: up to 24 tolerances on this field).
    EXPECT_LT(at::abs(end - (0.7 + 0.3 * x0)).max().item<double>(), 100 * tolerance);
  }
}

}  // namespace
}  // namespace pathline::sampler

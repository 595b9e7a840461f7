// SPDX-License-Identifier: Apache-2.0
// SDE solvers on the Gaussian flow, where everything is linear: mean and variance of the numerical solution follow
// exactly from what a unit of the start and of every draw becomes. No Monte Carlo.
#include "sampler/stochastic.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sampler/generate.h"
#include "tests/sampler/fields.h"
#include "tests/sampler/integrate.h"

namespace pathline::sampler {
namespace {

using tests::integrate;

constexpr double kMean = 0.7, kDeviation = 0.3;

struct Moments {
  double mean = 0, variance = 0;
  double memory = 0;  // of the start: d mean / d x0
};

double variance_at(double t) { return (1 - t) * (1 - t) + t * t * kDeviation * kDeviation; }

/// At time t, from N(0, 1) at t0. With q the flow's variance the SDE's drift in x - t kMean is q' / 2q - D / q: this
/// gives the memory, with its integral by Simpson's rule. What mean and variance are off the flow's at t0, memory and
/// its square keep.
Moments exact_moments(double t0, double t, const std::string& diffusion) {
  const Diffusion d = Diffusion::parse(diffusion);
  constexpr int kPieces = 2000;
  double integral = 0;
  for (int i = 0; i <= kPieces; ++i) {
    const double time = t0 + (t - t0) * i / kPieces, weight = i == 0 || i == kPieces ? 1 : i % 2 == 1 ? 4 : 2;
    integral += weight * d(time, flow::linear_point(time)) / variance_at(time) * (t - t0) / kPieces / 3;
  }
  const double memory = std::sqrt(variance_at(t) / variance_at(t0)) * std::exp(-integral);
  return {t * kMean - memory * t0 * kMean, variance_at(t) + memory * memory * (1 - variance_at(t0)), memory};
}

/// Of the solver's result from N(0, 1): row 0 is 0 without noise, row 1 the unit start, row 2 + k the unit draw k.
Moments moments_of(const SolverOptions& options) {
  const std::int64_t draws = options.solver == "pc" ? 2 * options.steps : options.steps;
  const at::Tensor start = at::zeros({2 + draws, 1}, at::kDouble);
  start[1][0] = 1.0;
  const StepNoise unit = [](std::int64_t id, std::int64_t draw, std::span<float> out) { out[0] = id == 2 + draw; };
  const tests::GaussianField field{kMean, kDeviation};
  const at::Tensor end = integrate(field, start, {}, -1, options, nullptr, unit).squeeze(1);
  const double* x = end.const_data_ptr<double>();
  Moments moments{x[0], 0, x[1] - x[0]};
  for (std::int64_t row = 1; row < end.size(0); ++row) moments.variance += (x[row] - x[0]) * (x[row] - x[0]);
  return moments;
}

SolverOptions options_with(const std::string& solver, const std::string& diffusion, std::int64_t steps) {
  SolverOptions options;
  options.solver = solver;
  options.diffusion = diffusion;
  options.steps = steps;
  options.last_step = "none";
  options.last_step_size = 0.1;
  return options;
}

/// Slope between halvings, from the first and the last of four.
double slope(double coarse, double fine) { return std::log2(coarse / fine) / 3; }

TEST(StochasticSolver, WeakErrorOfMeanAndVarianceFallsWithTheStep) {
  for (const std::string diffusion : {"constant:0.5", "sigma", "linear:0.5", "decreasing", "inc-dec"}) {
    const Moments exact = exact_moments(0, 0.9, diffusion);
    for (const std::string solver : {"em", "sheun"}) {
      const Moments coarse = moments_of(options_with(solver, diffusion, 40));
      const Moments fine = moments_of(options_with(solver, diffusion, 320));
      const auto order = [&](double Moments::*moment) {
        return slope(std::abs(coarse.*moment - exact.*moment), std::abs(fine.*moment - exact.*moment));
      };
      EXPECT_NEAR(fine.mean, exact.mean, 1e-12) << "the mean of this flow is linear in t, hence exact";
      EXPECT_GT(order(&Moments::memory), (solver == "sheun" ? 2 : 1) - 0.15) << solver << " " << diffusion;
      EXPECT_GT(order(&Moments::variance), 1 - 0.15) << solver << " " << diffusion;
    }
  }
}

TEST(StochasticSolver, WeakErrorFallsWhereTheMeanBendsAndSbdmIsFinite) {
  // From N(0, 1) at t = 0.2, off the flow's law there: the mean is no longer linear in t, and (1 - t) / t is smooth.
  for (const std::string diffusion : {"constant:0.5", "sbdm", "sigma", "linear:0.5", "decreasing", "inc-dec"}) {
    const Moments exact = exact_moments(0.2, 0.9, diffusion);
    for (const std::string solver : {"em", "sheun"}) {
      SolverOptions options = options_with(solver, diffusion, 40);
      options.t0 = 0.2;
      const Moments coarse = moments_of(options);
      options.steps = 320;
      const Moments fine = moments_of(options);
      const auto order = [&](double Moments::*moment) {
        return slope(std::abs(coarse.*moment - exact.*moment), std::abs(fine.*moment - exact.*moment));
      };
      EXPECT_GT(std::abs(coarse.mean - exact.mean), 1e-6) << "the mean is exact and tells nothing";
      EXPECT_GT(order(&Moments::mean), (solver == "sheun" ? 2 : 1) - 0.15) << solver << " " << diffusion;
      EXPECT_GT(order(&Moments::memory), (solver == "sheun" ? 2 : 1) - 0.15) << solver << " " << diffusion;
      EXPECT_GT(order(&Moments::variance), 1 - 0.15) << solver << " " << diffusion;
    }
  }
}

TEST(StochasticSolver, EveryDiffusionKeepsTheMarginalsToTheEnd) {
  for (const std::string diffusion : {"constant:0.3", "sbdm", "sigma", "linear", "decreasing", "inc-dec"}) {
    for (const std::string solver : {"em", "sheun"}) {
      SolverOptions options = options_with(solver, diffusion, 200);
      options.last_step_size = 0.02;
      const Moments made = moments_of(options);
      EXPECT_NEAR(made.mean, 0.98 * kMean, 0.01) << solver << " " << diffusion;
      EXPECT_NEAR(made.variance, variance_at(0.98), 0.01) << solver << " " << diffusion;
    }
  }
}

TEST(StochasticSolver, WithoutDiffusionItIsTheFlow) {
  SolverOptions options = options_with("em", "constant:0", 20);
  SolverOptions euler = options;
  euler.solver = "euler";
  euler.last_step = "";
  euler.t1 = 0.9;
  const at::Tensor start = start_noise(1, 0, {4, 3});
  const tests::GaussianField field{kMean, kDeviation};
  const at::Tensor a = integrate(field, start, {}, -1, options, nullptr, step_noise(0));
  EXPECT_LT(at::abs(a - integrate(field, start, {}, -1, euler)).max().item<float>(), 1e-6);
}

/// All data are the point 0.7: the exact last step ends there from wherever.
at::Tensor one_point(const at::Tensor& x, const at::Tensor& t, const at::Tensor&) {
  return (kMean - x) / (1 - tests::per_row(t, x));
}

TEST(StochasticSolver, LastStepsEndAsTheirFormulasSay) {
  SolverOptions options = options_with("em", "sigma", 50);
  options.last_step_size = 0.04;
  const at::Tensor start = start_noise(1, 0, {2, 3}).to(at::kDouble);
  const StepNoise noise = step_noise(5);
  options.steps = 49;
  const at::Tensor before = integrate(one_point, start, {}, -1, options, nullptr, noise);
  options.steps = 50;
  const auto end_with = [&](const std::string& last) {
    options.last_step = last;
    std::vector<std::int64_t> nfe;
    const at::Tensor end = integrate(one_point, start, {}, -1, options, &nfe, noise);
    EXPECT_EQ(nfe[0], 50);
    return end;
  };
  const auto far = [](const at::Tensor& a, const at::Tensor& b) { return at::abs(a - b).max().item<double>(); };
  EXPECT_LT(far(end_with("tweedie"), at::full_like(start, kMean)), 1e-12);
  EXPECT_LT(far(end_with("euler"), at::full_like(start, kMean)), 1e-12);
  // mean: x + h (v + D s) with D = s(t) = h = 0.04, score = -(x - t 0.7) / h^2
  const at::Tensor mean = kMean + 0.04 * 0.04 * -(before - 0.96 * kMean) / (0.04 * 0.04);
  EXPECT_LT(far(end_with("mean"), mean), 1e-12);
}

TEST(StochasticSolver, PredictorCorrectorKeepsTheMarginals) {
  SolverOptions options = options_with("pc", "sigma", 400);
  options.last_step_size = 0.02;
  options.snr = 0.05;
  const Moments made = moments_of(options);
  EXPECT_NEAR(made.mean, 0.98 * kMean, 0.01);
  EXPECT_NEAR(made.variance, variance_at(0.98), 0.01);
}

TEST(StochasticSolver, PredictorCorrectorDrawsNothingInItsFirstAndLastStep) {
  SolverOptions options = options_with("pc", "sigma", 5);
  options.last_step = "mean";
  std::vector<std::int64_t> drawn;
  const StepNoise noise = [&](std::int64_t, std::int64_t draw, std::span<float> out) {
    drawn.push_back(draw);
    std::ranges::fill(out, 0.5f);
  };
  std::vector<std::int64_t> nfe;
  const tests::GaussianField field{kMean, kDeviation};
  integrate(field, at::zeros({1, 1}, at::kDouble), {}, -1, options, &nfe, noise);
  EXPECT_EQ(drawn, (std::vector<std::int64_t>{2, 3, 4, 5, 6, 7}));  // two a step of steps 1, 2, 3
  EXPECT_EQ(nfe[0], 1 + 3 * 2 + 1);
}

TEST(StochasticSolver, ASampleDependsOnSeedAndIdAlone) {
  Job job;
  job.sample_shape = {3, 4, 4};
  job.slots = 4;
  job.seed = 3;
  job.solver.steps = 12;
  const Field field = tests::GaussianField{kMean, kDeviation};
  const auto none = [](std::int64_t) { return -1; };
  for (const std::string solver : {"em", "sheun", "pc"}) {
    job.solver.solver = solver;
    std::vector<at::Tensor> all(9);
    generate(field, job, 0, 9, none, [&](Sample&& sample) { all[sample.id] = sample.value; });
    EXPECT_FALSE(at::equal(all[1], all[2]));
    generate(field, job, 7, 8, none, [&](Sample&& sample) { EXPECT_TRUE(at::equal(sample.value, all[7])) << solver; });
    job.seed = 4;
    generate(field, job, 7, 8, none, [&](Sample&& sample) { EXPECT_FALSE(at::equal(sample.value, all[7])) << solver; });
    job.seed = 3;
  }
}

}  // namespace
}  // namespace pathline::sampler

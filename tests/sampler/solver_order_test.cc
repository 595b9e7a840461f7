// SPDX-License-Identifier: Apache-2.0
// The order of every solver, from halving its step on equations with known solutions.
#include <ATen/ops/abs.h>
#include <ATen/ops/max.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "sampler/generate.h"
#include "sampler/runge_kutta.h"
#include "sampler/slot_engine.h"
#include "sampler/tableau.h"
#include "tests/sampler/fields.h"
#include "tests/sampler/integrate.h"

namespace pathline::sampler {
namespace {

using tests::integrate;

using tests::fitted_order;
using tests::Logistic;

const Logistic logistic;
double logistic_end(double start) { return logistic.end(start); }

/// Of `tableau` with given steps, whether or not it estimates its error: root of the sum of squares over five starts,
/// since the leading term of a single one may change its sign.
double logistic_error(Tableau tableau, std::int64_t steps) {
  const Logistic field{tableau.order < 8 ? 1.0 : 0.5};  // slow enough for three halvings before the roundings
  tableau.e.clear();
  SolverOptions options;
  options.steps = steps;
  const std::vector<double> starts = {0.05, 0.2, 0.4, 0.6, 0.8};
  const auto line = std::make_shared<const Timeline>(timeline_of(options, time_grid("uniform", steps, 0.0, 1.0)));
  const MethodMaker<double> maker = [&] {
    return std::make_unique<RungeKutta<double>>(tableau, line, options, static_cast<std::int64_t>(starts.size()));
  };
  SlotEngine<double> engine(GuidedField{field}, maker, {static_cast<std::int64_t>(starts.size())}, 1, false);
  bool given = false;
  const auto next = [&]() -> std::optional<Start> {
    if (std::exchange(given, true)) return std::nullopt;
    return Start{0, 0, at::tensor(starts, at::kDouble)};
  };
  double squares = 0;
  engine.run(next, [&](Finish&& finish) {
    for (std::size_t i = 0; i < starts.size(); ++i) {
      squares += std::pow(finish.x.const_data_ptr<double>()[i] - field.end(starts[i]), 2);
    }
  });
  return std::sqrt(squares);
}

/// Three halvings from here on stay above 1e-13, which roundings reach.
std::int64_t coarsest_steps(int order) { return order <= 2 ? 20 : order <= 4 ? 8 : order == 5 ? 5 : 1; }

TEST(SolverOrder, ThreeHalvingsOfTheStepShowTheOrderOfEveryTableau) {
  for (const Tableau& tableau : tableaux()) {
    std::vector<double> errors;
    for (int halvings = 0; halvings <= 3; ++halvings) {
      errors.push_back(logistic_error(tableau, coarsest_steps(tableau.order) << halvings));
      EXPECT_GT(errors.back(), 1e-13) << tableau.name << ": too close to the roundings to tell";
    }
    EXPECT_GT(fitted_order(errors), tableau.order - 0.15) << tableau.name;
  }
}

/// On t in [0.05, 0.95] of the Gaussian flow, whose trajectories are x(t) = t m + sqrt(q_t) z.
double gaussian_error(const std::string& solver, const std::string& grid, std::int64_t steps) {
  const tests::GaussianField field{0.7, 0.3};
  SolverOptions options;
  options.solver = solver;
  options.grid = grid;
  options.steps = steps;
  options.t0 = 0.05;
  options.t1 = 0.95;
  const auto at_time = [](double t, double z) {
    return 0.7 * t + std::sqrt((1 - t) * (1 - t) + t * t * 0.3 * 0.3) * z;
  };
  const at::Tensor start = at::tensor({at_time(0.05, 1.3)}, at::kDouble).unsqueeze(0);
  return std::abs(integrate(field, start, {}, -1, options).item<double>() - at_time(0.95, 1.3));
}

TEST(SolverOrder, ThreeHalvingsOfTheStepShowTheOrderOfMethodsWithMemory) {
  const std::map<std::string, int> orders = {{"ab2", 2}, {"dpmpp2m", 2}, {"ddim", 1}};
  for (const auto& [solver, order] : orders) {
    for (const std::string grid : {"uniform", "cosine", "shift:3"}) {
      std::vector<double> errors;
      for (int halvings = 0; halvings <= 3; ++halvings) {
        errors.push_back(gaussian_error(solver, grid, std::int64_t{40} << halvings));
      }
      EXPECT_GT(fitted_order(errors), order - 0.15) << solver << " on " << grid;
    }
  }
}

TEST(SolverOrder, MethodsWithMemoryCostOneEvaluationAStep) {
  const std::map<std::string, std::int64_t> evaluations = {{"ab2", 11}, {"dpmpp2m", 10}, {"ddim", 10}};
  for (const auto& [solver, count] : evaluations) {
    SolverOptions options;
    options.solver = solver;
    options.steps = 10;
    std::vector<std::int64_t> nfe;
    integrate(tests::GaussianField{}, at::tensor({0.2}, at::kDouble).unsqueeze(0), {}, -1, options, &nfe);
    EXPECT_EQ(nfe[0], count) << solver;
  }
}

TEST(SolverOrder, OnTheLinearPathDdimIsEuler) {
  SolverOptions options;
  options.solver = "ddim";
  options.steps = 10;
  const at::Tensor start = at::tensor({0.2}, at::kDouble).unsqueeze(0);
  const double ddim = integrate(tests::GaussianField{}, start, {}, -1, options).item<double>();
  options.solver = "euler";
  EXPECT_NEAR(ddim, integrate(tests::GaussianField{}, start, {}, -1, options).item<double>(), 1e-14);
}

TEST(SolverOrder, DpmSolverFromNoiseToDataIsExactWhereTheDataAreOnePoint) {
  // All data at 0.7: v = (0.7 - x) / (1 - t). The prediction of the data never changes.
  const Field field = [](const at::Tensor& x, const at::Tensor& t, const at::Tensor&) {
    return (0.7 - x) / (1 - tests::per_row(t, x));
  };
  SolverOptions options;
  options.solver = "dpmpp2m";
  options.steps = 5;
  const at::Tensor start = at::tensor({0.2}, at::kDouble).unsqueeze(0);
  EXPECT_NEAR(integrate(field, start, {}, -1, options).item<double>(), 0.7, 1e-14);
}

TEST(SolverOrder, TheLastStepMayBeOneOfEulersAsInEdm) {
  std::vector<double> times;
  const Field recording = [&](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    times.push_back(t[0].item<double>());
    return logistic(x, t, labels);
  };
  SolverOptions options;
  options.solver = "heun";
  options.steps = 4;
  options.last_step = "euler";
  std::vector<std::int64_t> nfe;
  integrate(recording, at::tensor({0.2}, at::kDouble).unsqueeze(0), {}, -1, options, &nfe);
  EXPECT_EQ(nfe[0], 2 * 4 - 1);
  EXPECT_EQ(times, (std::vector<double>{0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75}));
}

TEST(SolverOrder, ErrorOfAnAdaptiveSolverFollowsItsTolerance) {
  for (const std::string solver : {"bosh3", "dopri5", "dopri5-shampine", "tsit5", "dopri8"}) {
    for (const double tolerance : {1e-4, 1e-6, 1e-8, 1e-10}) {
      SolverOptions options;
      options.solver = solver;
      options.rtol = options.atol = tolerance;
      const at::Tensor end = integrate(logistic, at::tensor({0.2}, at::kDouble).unsqueeze(0), {}, -1, options);
      EXPECT_LT(std::abs(end.item<double>() - logistic_end(0.2)), 5 * tolerance) << solver;
    }
  }
}

TEST(SolverOrder, ControllersWithMemoryKeepTheToleranceAtAboutTheSameCost) {
  std::map<std::string, std::int64_t> cost;
  for (const std::string controller : {"i", "pi", "pid"}) {
    SolverOptions options;
    options.controller = controller;
    options.rtol = options.atol = 1e-9;
    std::vector<std::int64_t> nfe;
    const at::Tensor start = at::tensor({0.2}, at::kDouble).unsqueeze(0);
    const double end = integrate(logistic, start, {}, -1, options, &nfe).item<double>();
    EXPECT_LT(std::abs(end - logistic_end(0.2)), 5e-9) << controller;
    cost[controller] = nfe[0];
  }
  for (const char* controller : {"pi", "pid"}) {
    EXPECT_NE(cost[controller], cost["i"]) << controller << " is not in use";
    EXPECT_LT(cost[controller], 2 * cost["i"]) << controller;
    EXPECT_GT(2 * cost[controller], cost["i"]) << controller;
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

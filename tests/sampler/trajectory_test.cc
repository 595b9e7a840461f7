// SPDX-License-Identifier: Apache-2.0
// Dense output: its order between the ends of steps, the states themselves at the ends, and samples whose bits it
// leaves.
#include "sampler/trajectory.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "core/error.h"
#include "sampler/generate.h"
#include "sampler/runge_kutta.h"
#include "sampler/slot_engine.h"
#include "sampler/solver.h"
#include "sampler/stochastic.h"
#include "tests/sampler/fields.h"

namespace pathline::sampler {
namespace {

using tests::fitted_order;
using tests::Logistic;

const std::vector<double> kStarts = {0.05, 0.2, 0.4, 0.6, 0.8};

/// One sample from `start` in fp64: (times, elements).
std::vector<std::vector<double>> trajectory_of(const GuidedField& field, const MethodMaker<double>& maker,
                                               const std::vector<double>& start, double guidance = 1,
                                               bool labelled = false) {
  const auto elements = static_cast<std::int64_t>(start.size());
  SlotEngine<double> engine(field, maker, {elements}, 1, labelled);
  bool given = false;
  const auto next = [&]() -> std::optional<Start> {
    if (std::exchange(given, true)) return std::nullopt;
    return Start{0, 1, at::tensor(start, at::kDouble), guidance};
  };
  std::vector<std::vector<double>> states;
  engine.run(next, [&](Finish&& finish) {
    ASSERT_EQ(finish.outcome, Outcome::kDone);
    for (std::int64_t k = 0; k < finish.trajectory.size(0); ++k) {
      const double* row = finish.trajectory.const_data_ptr<double>() + k * elements;
      states.emplace_back(row, row + elements);
    }
  });
  return states;
}

MethodMaker<double> maker_of(const SolverOptions& options, std::int64_t elements = 5) {
  return method_maker<double>(options, elements, step_noise(3));
}

/// `steps` given steps of `tableau`, whether or not it estimates its error.
MethodMaker<double> given_steps(Tableau tableau, std::int64_t steps, SolverOptions options) {
  tableau.e.clear();
  const auto line = std::make_shared<const Timeline>(timeline_of(options, time_grid("uniform", steps, 0.0, 1.0)));
  const auto kept = std::make_shared<const Tableau>(std::move(tableau));
  return [=]() -> std::unique_ptr<SlotMethod<double>> {
    return std::make_unique<RungeKutta<double>>(*kept, line, options, 5);
  };
}

/// Errors against the closed form inside the steps, root mean square over starts and times: of all steps but the last,
/// and of the last.
std::pair<double, double> errors_between(const Tableau& tableau, std::int64_t steps) {
  const Logistic field{tableau.order < 8 ? 1.0 : 0.5};
  SolverOptions options;
  for (std::int64_t i = 0; i < steps; ++i) {
    for (const double share : {0.3, 0.6}) {
      options.trajectories.push_back((static_cast<double>(i) + share) / static_cast<double>(steps));
    }
  }
  const auto states = trajectory_of(GuidedField{field}, given_steps(tableau, steps, options), kStarts);
  double before = 0, last = 0;
  for (std::size_t k = 0; k < states.size(); ++k) {
    double& squares = k + 2 < states.size() ? before : last;
    const auto count = static_cast<double>(k + 2 < states.size() ? states.size() - 2 : 2);
    for (std::size_t i = 0; i < kStarts.size(); ++i) {
      squares += std::pow(states[k][i] - field.at_time(options.trajectories[k], kStarts[i]), 2) / count;
    }
  }
  return {std::sqrt(before), std::sqrt(last)};
}

TEST(Trajectory, HasTheOrderOfTheMethodUpToThatOfItsInterpolantInsideSteps) {
  for (const Tableau& tableau : tableaux()) {
    const int order = std::min(tableau.order, tableau.d.empty() ? 4 : 5);
    // only a method that knows the slope at the end of its last step keeps more than order 3 there
    const int last_order = tableau.fsal() ? order : std::min(order, 3);
    std::vector<double> errors, last_errors;
    for (int halvings = 0; halvings <= 3; ++halvings) {
      const auto [before, last] = errors_between(tableau, std::int64_t{tableau.order <= 2 ? 20 : 8} << halvings);
      EXPECT_GT(std::min(before, last), 1e-13) << tableau.name << ": too close to the roundings to tell";
      errors.push_back(before);
      last_errors.push_back(last);
    }
    EXPECT_GT(fitted_order(errors), order - 0.15) << tableau.name;
    EXPECT_GT(fitted_order(last_errors), last_order - 0.15) << tableau.name << ", last step";
  }
}

TEST(Trajectory, IsTheStateItselfWhereAStepEnds) {
  for (const std::string solver :
       {"euler", "midpoint", "heun", "ralston", "heun3", "rk4", "rk4_38", "ab2", "dpmpp2m", "ddim", "em", "pc"}) {
    SolverOptions options;
    options.solver = solver;
    options.steps = 6;
    std::map<double, std::vector<double>>
        states;  // what the field was asked last at each time: the step that begins there
    const Logistic logistic;
    const Field recording = [&](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
      const double* row = x.const_data_ptr<double>();
      states[t[0].item<double>()] = std::vector<double>(row, row + 5);
      return logistic(x, t, labels);
    };
    const bool noisy = solver == "em" || solver == "pc";
    const Timeline line = noisy ? stochastic_timeline(options) : timeline_of(options, time_grid("uniform", 6, 0, 1));
    options.trajectories.assign(line.times.begin(), line.times.end() - 1);
    const auto kept = trajectory_of(GuidedField{recording}, maker_of(options), kStarts);
    ASSERT_EQ(kept.size(), line.times.size() - 1);
    for (std::size_t k = 0; k < kept.size(); ++k) EXPECT_EQ(kept[k], states.at(line.times[k])) << solver << " " << k;
  }
}

TEST(Trajectory, OfChosenStepsFollowsTheClosedFormAsCloselyAsTheEnd) {
  for (const std::string solver : {"bosh3", "dopri5", "dopri5-shampine", "tsit5"}) {
    SolverOptions options;
    options.solver = solver;
    options.rtol = options.atol = 1e-7;
    options.trajectories = parse_trajectories("101");
    const Logistic field;
    const auto states = trajectory_of(GuidedField{field}, maker_of(options), kStarts);
    for (std::size_t k = 0; k < states.size(); ++k) {
      for (std::size_t i = 0; i < kStarts.size(); ++i) {
        // The tolerance bounds the error of one step at its end; between, the polynomial's is up to some times that.
        EXPECT_NEAR(states[k][i], field.at_time(options.trajectories[k], kStarts[i]), 2e-6) << solver;
      }
    }
  }
}

TEST(Trajectory, GoesBackwardsToo) {
  SolverOptions options;
  options.rtol = options.atol = 1e-9;
  options.t0 = 1;
  options.t1 = 0;
  options.trajectories = {0.9, 0.5, 0.25, 0};
  const Logistic field;
  const auto states = trajectory_of(GuidedField{field}, maker_of(options, 1), {field.end(0.2)});
  for (std::size_t k = 0; k < states.size(); ++k) {
    EXPECT_NEAR(states[k][0], field.at_time(options.trajectories[k], 0.2), 1e-7);
  }
}

TEST(Trajectory, OfMethodsWithMemoryIsLinearBetweenStatesAndOfNoiseTheStateReachedLast) {
  for (const std::string solver : {"ab2", "dpmpp2m", "ddim", "em", "sheun", "pc"}) {
    const bool noisy = solver == "em" || solver == "sheun" || solver == "pc";
    SolverOptions options;
    options.solver = solver;
    options.steps = 5;
    const Timeline line = noisy ? stochastic_timeline(options) : timeline_of(options, time_grid("uniform", 5, 0, 1));
    for (std::size_t i = 0; i + 1 < line.times.size(); ++i) {
      options.trajectories.push_back(line.times[i]);
      options.trajectories.push_back(line.times[i] + 0.75 * (line.times[i + 1] - line.times[i]));
    }
    options.trajectories.push_back(1.0);
    const auto states = trajectory_of(GuidedField{tests::GaussianField{}}, maker_of(options), kStarts);
    for (std::size_t k = 1; k + 1 < states.size(); k += 2) {
      EXPECT_NE(states[k - 1], states[k + 1]);
      for (std::size_t i = 0; i < kStarts.size(); ++i) {
        const double begin = states[k - 1][i], end = states[k + 1][i];
        EXPECT_NEAR(states[k][i], noisy ? begin : 0.25 * begin + 0.75 * end, 1e-15) << solver;
      }
    }
  }
}

TEST(Trajectory, KeepsItsCornersWhereGuidanceBeginsAndEnds) {
  // v = 1 without a label and 3 with one: 3 outside the interval of guidance, 1 + 2 (3 - 1) = 5 inside.
  const Field constant = [](const at::Tensor& x, const at::Tensor&, const at::Tensor& labels) {
    return at::where(tests::per_row(labels, x) == 1, 3.0, 1.0).to(x.scalar_type()).expand_as(x).clone();
  };
  for (const std::string solver : {"euler", "heun", "rk4", "bosh3", "dopri5", "dopri8", "ab2"}) {
    SolverOptions options;
    options.solver = solver;
    options.steps = 5;
    options.guidance = 2;
    options.guidance_from = 0.4;
    options.guidance_to = 0.8;
    options.trajectories = {0, 0.1, 0.3, 0.39, 0.4, 0.41, 0.5, 0.7, 0.79, 0.8, 0.81, 0.9, 1};
    const auto states = trajectory_of(GuidedField{constant, 0}, maker_of(options, 1), {0.0}, 2.0, true);
    for (std::size_t k = 0; k < states.size(); ++k) {
      const double t = options.trajectories[k];
      const double exact = 3 * t + 2 * std::clamp(t - 0.4, 0.0, 0.4);
      EXPECT_NEAR(states[k][0], exact, 1e-12) << solver << " at " << t;
    }
  }
}

TEST(Trajectory, LeavesEverySampleItsBitsAndEvaluations) {
  for (const std::string& solver : solver_names()) {
    Job job;
    job.sample_shape = {2, 3, 3};
    job.slots = 4;
    job.seed = 5;
    job.solver.solver = solver;
    job.solver.steps = 7;
    job.solver.rtol = job.solver.atol = 1e-4;
    if (solver == "ddpm") job.solver.noise_schedule = "ddpm-linear";
    const auto made = [&] {
      std::map<std::int64_t, Sample> samples;
      generate(
          tests::GaussianField{}, job, 0, 10, [](std::int64_t) { return -1; },
          [&](Sample&& sample) { samples[sample.id] = std::move(sample); });
      return samples;
    };
    const auto without = made();
    job.solver.trajectories = {0, 0.1, 0.5, 0.77, 1};
    for (const auto& [id, sample] : made()) {
      const Sample& plain = without.at(id);
      EXPECT_TRUE(at::equal(sample.value, plain.value)) << solver << " sample " << id;
      EXPECT_EQ(sample.nfe, plain.nfe);
      EXPECT_EQ(sample.rejected, plain.rejected);
      EXPECT_FALSE(plain.trajectory.defined());
      ASSERT_EQ(sample.trajectory.sizes().vec(), (std::vector<std::int64_t>{5, 2, 3, 3}));
      EXPECT_TRUE(at::equal(sample.trajectory[0], start_noise(5, id, job.sample_shape))) << solver;
      EXPECT_TRUE(at::equal(sample.trajectory[4], sample.value)) << solver;
      EXPECT_FALSE(at::equal(sample.trajectory[2], sample.trajectory[3])) << solver;
    }
  }
}

TEST(Trajectory, OfAFailedSampleIsNotThere) {
  Job job;
  job.sample_shape = {1, 2, 2};
  job.slots = 1;
  job.solver.trajectories = {0.5};
  const Field nowhere = [](const at::Tensor& x, const at::Tensor&, const at::Tensor&) { return x / 0; };
  generate(
      nowhere, job, 0, 1, [](std::int64_t) { return -1; },
      [](Sample&& sample) {
        EXPECT_EQ(sample.status, SampleStatus::kFailed);
        EXPECT_FALSE(sample.trajectory.defined());
      });
}

TEST(Trajectory, TimesAreEvenlySpacedOrTheUsers) {
  EXPECT_EQ(parse_trajectories("5"), (std::vector<double>{0, 0.25, 0.5, 0.75, 1}));
  EXPECT_EQ(parse_trajectories("0,0.2,1"), (std::vector<double>{0, 0.2, 1}));
  EXPECT_EQ(parse_trajectories("0.5"), (std::vector<double>{0.5}));
  for (const char* wrong : {"1", "-3", "0,x", "", "1001"})
    EXPECT_THROW(parse_trajectories(wrong), core::Error) << wrong;
}

TEST(Trajectory, RefusesTimesThatSamplesDoNotPassInThatOrder) {
  for (const std::vector<double>& times : {std::vector<double>{-0.1}, {1.1}, {0.5, 0.2}, {0.5, 0.5}, {NAN}}) {
    SolverOptions options;
    options.trajectories = times;
    EXPECT_THROW(maker_of(options), core::Error);
  }
}

}  // namespace
}  // namespace pathline::sampler

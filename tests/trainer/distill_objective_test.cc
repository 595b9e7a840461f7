// SPDX-License-Identifier: Apache-2.0
// What students are asked and what they should answer, against a teacher whose Euler steps are known in closed form.
#include "trainer/distill_objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <utility>

#include "core/error.h"
#include "flow/keyed_draws.h"
#include "tests/trainer/formula.h"
#include "trainer/options.h"

namespace pathline::trainer {
namespace {

constexpr double kMean = 0.7, kDeviation = 0.3;

/// From N(0, 1) to N(mean, deviation^2) along the linear path: v = mean + c(t) (x - t mean).
double slope(double t) {
  const double variance = (1 - t) * (1 - t) + t * t * kDeviation * kDeviation;
  return (t * kDeviation * kDeviation - (1 - t)) / variance;
}

/// Where `steps` Euler steps from t to t + length lead x.
double after_steps(double x, double t, double length, int steps) {
  const double h = length / steps;
  for (int i = 0; i < steps; ++i) {
    const double now = t + i * h;
    x = (1 + h * slope(now)) * x + h * kMean * (1 - slope(now) * now);
  }
  return x;
}

/// A network in closed form, element by element.
std::unique_ptr<model::VelocityModel> formula(const std::function<double(double x, double t)>& velocity) {
  return std::make_unique<tests::Formula>([velocity](const at::Tensor& x, const at::Tensor& t) {
    at::Tensor v = at::zeros(x.sizes());
    for (std::int64_t i = 0; i < x.size(0); ++i) {
      for (std::int64_t d = 0; d < 2; ++d) v[i][d].fill_(velocity(x[i][d].item<double>(), t[i].item<double>()));
    }
    return v;
  });
}

std::unique_ptr<model::Module> gaussian() {
  return formula([](double x, double t) { return kMean + slope(t) * (x - t * kMean); });
}

flow::FlowOptions distilled(std::int64_t steps) {
  flow::FlowOptions options;
  options.objective = "distill";
  options.distill.steps = steps;
  return options;
}

Slice slice_of(std::int64_t count) {
  Slice slice;
  for (std::int64_t i = 0; i < count; ++i) slice.positions.push_back(static_cast<std::uint64_t>(1000 + i));
  slice.labels.assign(static_cast<std::size_t>(count), -1);
  slice.x1 = 2 * flow::keyed_noise(9, core::Purpose::kMadeData, slice.positions, {2}) + 1;
  return slice;
}

model::ModelOptions mlp() {
  model::ModelOptions options;
  options.name = "MLP";
  options.hidden = 16;
  options.depth = 1;
  options.input_channels = 2;
  options.classes = 0;
  return options;
}

TEST(Distillation, TargetEndsWhereTwoStepsOfTheTeacherDo) {
  const auto student = model::make_model(mlp(), 1);
  const DistillObjective objective(distilled(4), 5, *student, gaussian());
  const Question question = objective.question(slice_of(64));
  for (std::int64_t i = 0; i < 64; ++i) {
    const double t = question.t[i].item<double>();
    for (std::int64_t d = 0; d < 2; ++d) {
      const double x = question.x[i][d].item<double>();
      const double end = after_steps(x, t, 0.25, 2);
      EXPECT_NEAR(question.target[i][d].item<double>(), (end - x) / 0.25, 1e-5);  // fp32
    }
  }
}

TEST(Distillation, StatesLieOnThePathAtTheBeginningsOfSteps) {
  const auto student = model::make_model(mlp(), 1);
  const DistillObjective objective(distilled(4), 5, *student, gaussian());
  const Slice slice = slice_of(400);
  const Question question = objective.question(slice);
  const at::Tensor x0 = flow::keyed_noise(5, core::Purpose::kNoise, slice.positions, {2});
  const at::Tensor t = question.t.unsqueeze(1);
  EXPECT_LT((question.x - t * slice.x1 - (1 - t) * x0).abs().max().item<double>(), 1e-6);
  std::map<double, int> seen;
  for (std::int64_t i = 0; i < 400; ++i) seen[question.t[i].item<double>()] += 1;
  ASSERT_EQ(seen.size(), 4u);
  for (const auto& [time, count] : seen) {
    EXPECT_EQ(4 * time, std::floor(4 * time));
    EXPECT_NEAR(count, 100, 4 * std::sqrt(400 * 0.25 * 0.75)) << time;  // 4 deviations of a fair draw
  }
}

TEST(Distillation, HalvedTwiceTheRightAnswerIsFourStepsOfTheFirstTeacher) {
  const auto student = model::make_model(mlp(), 1);
  auto half = formula([](double x, double t) { return (after_steps(x, t, 0.5, 2) - x) / 0.5; });
  const DistillObjective objective(distilled(1), 5, *student, std::move(half));
  const Question question = objective.question(slice_of(32));
  for (std::int64_t i = 0; i < 32; ++i) {
    EXPECT_EQ(question.t[i].item<double>(), 0);
    for (std::int64_t d = 0; d < 2; ++d) {
      const double x0 = question.x[i][d].item<double>();
      EXPECT_NEAR(question.target[i][d].item<double>(), after_steps(x0, 0, 1, 4) - x0, 1e-5);
    }
  }
}

TEST(Distillation, RightAnswerHasNoLoss) {
  const auto right = formula([](double x, double t) { return (after_steps(x, t, 0.5, 2) - x) / 0.5; });
  const DistillObjective objective(distilled(2), 5, *right, gaussian());
  EXPECT_LT(objective.loss_per_sample(slice_of(32)).max().item<double>(), 1e-10);
  EXPECT_LT(objective.held_out_loss_per_sample(slice_of(32)).max().item<double>(), 1e-10);
}

TEST(Distillation, FromPairsFollowsTheStraightLine) {
  const auto student = model::make_model(mlp(), 1);
  flow::FlowOptions options = distilled(2);
  options.pairing.coupling = "pairs";
  Slice slice = slice_of(64);
  slice.x0 = slice.x1 * -0.5 + 0.25;
  const Question question = DistillObjective(options, 5, *student, nullptr).question(slice);
  EXPECT_TRUE(at::equal(question.target, slice.x1 - slice.x0));
  const at::Tensor t = question.t.unsqueeze(1);
  EXPECT_LT((question.x - t * slice.x1 - (1 - t) * slice.x0).abs().max().item<double>(), 1e-6);
  options.distill.steps = 1;
  EXPECT_TRUE(at::equal(DistillObjective(options, 5, *student, nullptr).question(slice).x, slice.x0));
}

TEST(Distillation, TeacherIsFrozen) {
  const auto student = model::make_model(mlp(), 1);
  std::unique_ptr<model::Module> teacher = model::make_module(mlp(), 2);
  const auto parameters = teacher->parameters();
  const DistillObjective objective(distilled(1), 5, *student, std::move(teacher));
  objective.loss_per_sample(slice_of(8)).sum().backward();
  for (const auto& parameter : parameters) EXPECT_FALSE(parameter.tensor.grad().defined()) << parameter.name;
  for (const auto& parameter : student->parameters()) EXPECT_TRUE(parameter.tensor.grad().defined()) << parameter.name;
}

std::string refusal(const std::string& flow) {
  core::Config config = core::Config::from_text("[data]\npath = [\"a.h5\"]\n[flow]\n" + flow, "test");
  try {
    read_recipe(config);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
    return error.what();
  }
  return "";
}

TEST(Distillation, RefusesWhatMakesNoSense) {
  const std::string distill = "objective = \"distill\"\n", pairs = distill + "coupling = \"pairs\"\n",
                    taught = distill + "teacher = \"runs/x\"\n";
  EXPECT_EQ(refusal(pairs), "");
  EXPECT_EQ(refusal(taught + "path = \"cosine\"\ndistill_steps = 4\n"), "");
  const std::pair<std::string, const char*> refused[] = {
      {distill, "neither flow.teacher nor coupling"},
      {pairs + "teacher = \"runs/x\"\n", "both flow.teacher and coupling"},
      {pairs + "path = \"cosine\"\n", "straight line"},
      {pairs + "distill_steps = 0\n", "at least one"},
      {taught + "path = \"vp\"\n", "no bound"},
      {taught + "path = \"icfm:0.1\"\n", "noisier"},
      {taught + "predict = \"x1\"\n", "mean velocity"},
      {taught + "time = \"cosmap\"\n", "mean velocity"},
      {"teacher = \"runs/x\"\n", "only distillation"},
      {"distill_steps = 2\n", "only distillation"}};
  for (const auto& [text, why] : refused) EXPECT_NE(refusal(text).find(why), std::string::npos) << refusal(text);
}

}  // namespace
}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
// The likelihoods that are trained against those that the adaptive solver finds, their gradients against finite
// differences, and what training reaches on two moons.
#include "trainer/likelihood_objective.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <numeric>

#include "cluster/self_communicator.h"
#include "core/random.h"
#include "data/made.h"
#include "sampler/checkpointed_model.h"
#include "sampler/likelihood.h"
#include "trainer/engine.h"
#include "trainer/training_step.h"

namespace pathline::trainer {
namespace {

using ::testing::HasSubstr;

constexpr double kGaussianFit = 1.89;  // nats of a moment-matched Gaussian on the moons; their entropy is 0.300

Recipe recipe_for(const std::string& objective) {
  Recipe recipe;
  recipe.flow.objective = objective;
  recipe.model.name = objective == "nll-flow" ? "RealNVP" : "MLP";
  recipe.model.activation = objective == "nll-flow" ? "silu" : "tanh";
  recipe.model.input_channels = 2;
  recipe.model.classes = 0;
  recipe.model.hidden = 32;
  recipe.model.depth = 2;
  recipe.model.couplings = 6;
  recipe.train.batch = 128;
  recipe.train.slices = 1;
  recipe.train.clip = 1.0;
  recipe.optimizer.lr = 1e-2;
  recipe.optimizer.warmup_steps = 0;
  return recipe;
}

Slice moons(std::uint64_t first, std::int64_t count) {
  Slice slice;
  slice.x1 = at::empty({count, 2}, at::kFloat);
  slice.labels.assign(static_cast<std::size_t>(count), -1);
  for (std::int64_t i = 0; i < count; ++i) {
    slice.positions.push_back(first + static_cast<std::uint64_t>(i));
    const data::LabelledPoint point = data::moon_point(7, slice.positions.back());
    slice.x1.mutable_data_ptr<float>()[2 * i] = point.x;
    slice.x1.mutable_data_ptr<float>()[2 * i + 1] = point.y;
  }
  return slice;
}

/// Nats of a point, over 256 points that were not trained on.
double held_out(const Objective& objective) {
  const at::NoGradGuard no_grad;
  return 2 * objective.held_out_loss_per_sample(moons(1'000'000, 256)).mean().item<double>();
}

/// A module after `steps` on moons, with the learning rate going down to zero.
std::unique_ptr<model::Module> trained(Recipe recipe, std::int64_t steps) {
  at::set_num_threads(1);
  recipe.optimizer.schedule = "cosine";
  recipe.optimizer.schedule_steps = steps;
  auto module = model::make_module(recipe.model, 3);
  const auto alone = cluster::make_self_communicator();
  const auto objective = make_objective(recipe.flow, 3, *module);
  const Engine engine = make_engine(recipe, *module, *alone);
  data::SetInfo info;
  info.kind = data::ItemKind::kPoint;
  info.height = info.width = 1;
  info.channels = 2;
  cluster::Whereabouts where;
  TrainingStep step(recipe, *objective, *module, *engine.state, *engine.backend, info, *alone, where);
  for (std::int64_t n = 0; n < steps; ++n) {
    const auto position = static_cast<std::uint64_t>(n * recipe.train.batch);
    const Slice slice = moons(position, recipe.train.batch);
    data::Batch batch;
    batch.position = batch.first = position;
    batch.labels = slice.labels;
    batch.samples.resize(slice.labels.size());
    const float* values = slice.x1.const_data_ptr<float>();
    batch.values.assign(values, values + slice.x1.numel());
    step(batch, n, n);
  }
  engine.state->wait_for_all_parameters();
  for (const auto& parameter : module->parameters()) {  // the engine's memory goes
    at::Tensor tensor = parameter.tensor;
    tensor.set_data(tensor.detach().clone());
  }
  return module;
}

/// Nats of each of the first `count` held-out points by the adaptive solver, with the exact divergence.
std::vector<double> tight_densities(model::Module& module, std::int64_t count) {
  const Slice slice = moons(1'000'000, count);
  sampler::LikelihoodOptions options;
  options.exact = true;
  options.solver.rtol = options.solver.atol = 1e-6;
  std::vector<double> log_p(static_cast<std::size_t>(count));
  std::int64_t next = 0;
  sampler::log_densities(
      sampler::field_of(model::as_velocity_model(module, "the test")), options, {2}, false,
      [&]() -> std::optional<sampler::Datum> {
        if (next == count) return std::nullopt;
        const std::int64_t id = next++;
        return sampler::Datum{id, 0, slice.x1[id]};
      },
      [&](const sampler::LogDensity& found) { log_p[static_cast<std::size_t>(found.id)] = found.log_p; });
  return log_p;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

TEST(ContinuousFlow, LearnsTheMoonsAndItsFixedStepsAgreeWithATightSolver) {
  Recipe recipe = recipe_for("nll-cnf");
  recipe.flow.cnf.solver = "midpoint";
  const auto module = trained(recipe, 160);
  for (const std::string solver : {"midpoint", "rk4"}) {
    recipe.flow.cnf.solver = solver;
    const auto objective = make_objective(recipe.flow, 3, *module);
    const double fixed = held_out(*objective);
    EXPECT_LT(fixed, 1.5) << "a Gaussian fit has " << kGaussianFit;
    EXPECT_NEAR(fixed, -mean(tight_densities(*module, 256)), 0.01) << solver;
  }
}

TEST(ContinuousFlow, GradientIsThatOfFiniteDifferences) {
  for (const std::string divergence : {"exact", "hutchinson"}) {
    for (const std::string solver : {"midpoint", "rk4"}) {
      Recipe recipe = recipe_for("nll-cnf");
      recipe.model.hidden = 8;
      recipe.flow.cnf.divergence = divergence;
      recipe.flow.cnf.solver = solver;
      recipe.flow.cnf.steps = 3;
      const auto module = model::make_module(recipe.model, 3);
      const auto objective = make_objective(recipe.flow, 3, *module);
      std::vector<at::Tensor> parameters, gradients;
      for (const auto& parameter : module->parameters()) parameters.push_back(parameter.tensor);
      const auto loss = [&] { return objective->loss_per_sample(moons(0, 16)).to(at::kDouble).sum(); };
      gradients = torch::autograd::grad({loss()}, parameters);
      double squares = 0;
      for (const auto& gradient : gradients) squares += gradient.square().sum().item<double>();
      const double norm = std::sqrt(squares), step = 0.02;
      const auto move = [&](double by) {  // along the gradient
        for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].detach().add_(gradients[i], by / norm);
      };
      move(step);
      const double above = loss().item<double>();
      move(-2 * step);
      const double below = loss().item<double>();
      move(step);
      // Central differences in fp32: h^2 of curvature and about 1e-6 / h of rounding, on a norm of order 10.
      EXPECT_NEAR((above - below) / (2 * step), norm, 2e-3 * norm) << divergence << " " << solver;
    }
  }
}

TEST(ContinuousFlow, ProbesScatterAroundTheExactDivergence) {
  Recipe recipe = recipe_for("nll-cnf");
  recipe.flow.cnf.steps = 2;
  const auto module = model::make_module(recipe.model, 3);
  Slice slice = moons(0, 1);
  const at::NoGradGuard no_grad;
  const double exact = make_objective(recipe.flow, 3, *module)->loss_per_sample(slice).item<double>();
  recipe.flow.cnf.divergence = "hutchinson";
  constexpr std::int64_t kProbes = 2000;
  slice.x1 = slice.x1.expand({kProbes, 2}).contiguous();
  slice.labels.resize(kProbes, -1);
  slice.positions.resize(kProbes);
  std::iota(slice.positions.begin(), slice.positions.end(), 0);
  const at::Tensor estimates = make_objective(recipe.flow, 3, *module)->loss_per_sample(slice).to(at::kDouble);
  const double error = estimates.std().item<double>() / std::sqrt(static_cast<double>(kProbes));
  EXPECT_GT(error, 0.0);
  EXPECT_NEAR(estimates.mean().item<double>(), exact, 4 * error);
}

TEST(NormalizingFlow, LearnsTheMoons) {
  const Recipe recipe = recipe_for("nll-flow");
  const auto module = trained(recipe, 300);
  EXPECT_LT(held_out(*make_objective(recipe.flow, 3, *module)), 1.0) << "a Gaussian fit has " << kGaussianFit;
}

TEST(NormalizingFlow, DequantisesPicturesByPosition) {
  Recipe recipe = recipe_for("nll-flow");
  recipe.model.input_size = 4;
  recipe.model.input_channels = 1;
  const auto module = model::make_module(recipe.model, 3);  // the identity at first
  const auto objective = make_objective(recipe.flow, 3, *module);
  Slice slice;
  slice.x1 = at::empty({2, 1, 4, 4}, at::kFloat).fill_(0.5);
  slice.labels = {-1, -1};
  slice.positions = {5, 6};
  const at::Tensor losses = objective->loss_per_sample(slice);
  double expected = 0;
  std::vector<float> u(16);
  core::Draws(3, 6, core::Purpose::kDequantize).fill_uniform(u);
  for (const float one : u) {
    const double x = 0.5 + (one - 0.5) / 127.5;
    expected += 0.5 * (x * x + std::log(2 * M_PI)) / 16;
  }
  EXPECT_NEAR(losses[1].item<double>(), expected, 1e-6);
  EXPECT_NE(losses[0].item<float>(), losses[1].item<float>());
  EXPECT_NE(objective->held_out_loss_per_sample(slice)[1].item<float>(), losses[1].item<float>());  // draws of its own
}

std::string refusal(Recipe recipe) {
  try {
    const auto module = model::make_module(recipe.model, 3);
    make_objective(recipe.flow, 3, *module);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
    return error.what();
  }
  return "";
}

TEST(Likelihood, KeysOfContinuousFlowsAreRefusedElsewhere) {
  const auto refused = [](const std::string& flow) {
    core::Config config = core::Config::from_text("[data]\npath = [\"a.h5\"]\n[flow]\n" + flow, "test");
    try {
      read_recipe(config);
    } catch (const core::Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  for (const std::string key : {"cnf_solver = \"midpoint\"\n", "cnf_steps = 4\n", "cnf_divergence = \"exact\"\n"}) {
    EXPECT_EQ(refused("objective = \"nll-cnf\"\n" + key), "");
    for (const std::string objective : {"flow", "nll-flow", "classifier"}) {
      EXPECT_THAT(refused("objective = \"" + objective + "\"\n" + key), HasSubstr("only a continuous flow"));
    }
  }
  EXPECT_THAT(refused("objective = \"nll-cnf\"\ncnf_steps = 0\n"), HasSubstr("at least one"));
}

TEST(Likelihood, RefusesNetworksOfAnotherKind) {
  Recipe flow = recipe_for("nll-flow");
  flow.flow.objective = "flow";
  EXPECT_THAT(refusal(flow), HasSubstr("flow.objective = \"flow\" needs a velocity model"));
  Recipe bijection = recipe_for("nll-cnf");
  bijection.flow.objective = "nll-flow";
  EXPECT_THAT(refusal(bijection), HasSubstr("flow.objective = \"nll-flow\" needs a bijection"));
  Recipe kinked = recipe_for("nll-cnf");
  kinked.model.activation = "selu";
  EXPECT_THAT(refusal(kinked), HasSubstr("its derivative jumps"));
}

}  // namespace
}  // namespace pathline::trainer

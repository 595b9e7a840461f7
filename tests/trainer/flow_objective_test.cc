// SPDX-License-Identifier: Apache-2.0
// The loss of flow and score matching is least at the exact marginal field, whatever is predicted on whatever path: an
// answer that is off by d costs E[w |d|^2] more, the square of d itself and no more, because what else there is,
// 2 E[w d (answer - target)], is 0 where the answer is the expected target.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <string>
#include <vector>

#include "flow/interpolate.h"
#include "flow/keyed_draws.h"
#include "tests/flow/table_path.h"
#include "tests/sampler/fields.h"
#include "tests/trainer/formula.h"
#include "trainer/objective.h"

namespace pathline::trainer {
namespace {

using flow::Parameterisation;
using Answer = tests::Formula::Answer;

constexpr std::int64_t kCount = 8000;
constexpr std::uint64_t kSeed = 5;

tests::MixtureField gaussian() {
  return {at::tensor({0.6, -0.4}, at::kDouble).view({1, 2}), at::tensor({1.0}, at::kDouble), 0.4};
}

tests::MixtureField mixture() {
  return {at::tensor({1.2, 0.1, -0.9, 0.8, -0.2, -1.1}, at::kDouble).view({3, 2}),
          at::tensor({0.5, 0.3, 0.2}, at::kDouble), 0.25};
}

/// Samples in the very shares of the mixture's weights.
Slice slice_of(const tests::MixtureField& data) {
  Slice slice;
  for (std::int64_t i = 0; i < kCount; ++i) slice.positions.push_back(static_cast<std::uint64_t>(i));
  slice.labels.assign(kCount, -1);
  const at::Tensor place = at::arange(kCount, at::kDouble).remainder(10).add(0.5).div(10).unsqueeze(1);
  const at::Tensor component = place.gt(data.weights.cumsum(0)).sum(1);
  const at::Tensor off = flow::keyed_noise(9, core::Purpose::kMadeData, slice.positions, {2});
  slice.x1 = data.means.index_select(0, component).to(at::kFloat) + data.deviation * off;
  return slice;
}

/// The time of the path at which a network that is told `told` is asked. EDM is told ln(s / a) / 4, DDPM the linear
/// path's time of the same noise level.
double time_of(const Parameterisation& trained, const std::string& predict, double told) {
  if (predict == "edm") return trained.path().time_of(std::exp(-4 * told));
  if (predict == "ddpm") return trained.path().time_of(told / (1 - told));
  return told;
}

/// The answers from which sampling makes the exact velocity of the data: F of v = velocity_x x + velocity_f F.
Answer exact(const tests::MixtureField& data, const Parameterisation& trained, const std::string& predict) {
  return [=](const at::Tensor& input, const at::Tensor& told) {
    const at::Tensor t = flow::of_times(told, [&](double time) { return time_of(trained, predict, time); });
    const auto factor = [&](double flow::SamplingRow::*member) {
      return flow::of_times(t, [&](double at) { return trained.sampling_row(at).*member; }).unsqueeze(1);
    };
    const at::Tensor x = input.to(at::kDouble) / factor(&flow::SamplingRow::input);
    const at::Tensor v = data.velocity_on(trained.path(), x, t);
    return (v - factor(&flow::SamplingRow::velocity_x) * x) / factor(&flow::SamplingRow::velocity_f);
  };
}

/// The gradient of log p_t, by differentiating the density.
Answer score(const tests::MixtureField& data, const flow::Path& path) {
  return [=](const at::Tensor& input, const at::Tensor& t) {
    const at::AutoGradMode with_gradients(true);
    const at::Tensor x = input.detach().to(at::kDouble).requires_grad_(true);
    return torch::autograd::grad({data.logits_on(path, x, t).logsumexp(1).sum()}, {x})[0];
  };
}

const std::vector<Answer> kPerturbations = {
    [](const at::Tensor& x, const at::Tensor&) { return at::ones_like(x); },
    [](const at::Tensor& x, const at::Tensor& t) { return x * (4 * t).cos().unsqueeze(1); },
    [](const at::Tensor& x, const at::Tensor&) { return (3 * x).sin().flip(1); }};

struct Excess {
  double mean = 0, error = 0;  // of E[loss(answer + d) - loss(answer) - w |d|^2], and its standard error
  double square = 0;           // E[w |d|^2]
};

Excess excess(const flow::FlowOptions& options, const Slice& slice, const Answer& answer, const Answer& d) {
  const auto losses = [&](const Answer& made) {
    tests::Formula network(made);
    return FlowObjective(options, kSeed, network).loss_per_sample(slice).to(at::kDouble);
  };
  const auto off = [&](const at::Tensor& x, const at::Tensor& t) { return answer(x, t) + d(x, t).to(at::kDouble); };
  tests::Formula any(d);
  const Question asked = FlowObjective(options, kSeed, any).question(slice);
  const at::Tensor square = asked.weight * d(asked.x, asked.t).square().mean(1);
  const at::Tensor more = losses(off) - losses(answer) - square;
  return {more.mean().item<double>(), more.std().item<double>() / std::sqrt(static_cast<double>(kCount)),
          square.mean().item<double>()};
}

void expect_least(const flow::FlowOptions& options, const tests::MixtureField& data, const Answer& answer) {
  const Slice slice = slice_of(data);
  for (const Answer& d : kPerturbations) {
    const Excess found = excess(options, slice, answer, d);
    // four standard errors, and what fp32 rounds of losses that are of the size of their weights
    EXPECT_LT(std::abs(found.mean), 4 * found.error + 1e-6 * found.square)
        << options.path << " " << options.predict << " " << options.weight;
    EXPECT_GT(found.square, 10 * found.error) << "the test would notice little";
  }
}

flow::FlowOptions options_for(const std::string& path, const std::string& predict, const std::string& weight = "auto") {
  flow::FlowOptions options;
  options.path = path;
  options.predict = predict;
  options.weight = weight;
  return options;
}

TEST(FlowObjective, IsLeastAtTheExactVelocityWhateverIsPredicted) {
  for (const std::string& path : {std::string("linear"), std::string("cosine"), std::string("vp"), std::string("ou:3"),
                                  std::string("ve:0.05,3"), tests::cosine_table()}) {
    for (const std::string predict : {"velocity", "x1", "noise", "score", "edm", "ddpm"}) {
      const flow::FlowOptions options = options_for(path, predict);
      const Parameterisation trained = flow::parameterisation_of(options);
      for (const tests::MixtureField& data : {gaussian(), mixture()}) {
        expect_least(options, data, exact(data, trained, predict));
      }
    }
  }
}

TEST(FlowObjective, CountsTheNoiseBesideThePath) {
  for (const std::string path : {"icfm:0.1", "icfm:0.6"}) {
    const flow::FlowOptions options = options_for(path, "velocity");
    expect_least(options, mixture(), exact(mixture(), flow::parameterisation_of(options), "velocity"));
  }
}

TEST(FlowObjective, WeightsDoNotMoveTheMinimum) {
  for (const auto& [predict, weight] : {std::pair{"x1", "edm"}, {"noise", "likelihood"}, {"velocity", "sigma2"}}) {
    const flow::FlowOptions options = options_for("cosine", predict, weight);
    expect_least(options, mixture(), exact(mixture(), flow::parameterisation_of(options), predict));
  }
}

TEST(ScoreMatching, IsLeastAtTheGradientOfTheLogDensity) {
  for (const std::string path : {"vp", "ou:3", "ve:0.05,3", "linear"}) {
    for (const std::string weight : {"auto", "likelihood"}) {
      flow::FlowOptions options = options_for(path, "score", weight);
      options.objective = "score";
      for (const tests::MixtureField& data : {gaussian(), mixture()}) {
        expect_least(options, data, score(data, flow::Path::parse(path)));
      }
    }
  }
}

TEST(FlowObjective, IsNotLeastAtAnyOtherField) {
  const Slice slice = slice_of(mixture());
  for (const std::string predict : {"velocity", "x1", "noise", "score", "edm", "ddpm"}) {
    const flow::FlowOptions options = options_for("linear", predict);
    const Answer right = exact(mixture(), flow::parameterisation_of(options), predict);
    const Answer wrong = [&](const at::Tensor& x, const at::Tensor& t) { return right(x, t) + 0.1; };
    const Excess found = excess(options, slice, wrong, kPerturbations[0]);
    EXPECT_NEAR(found.mean, 0.2 * found.square, 4 * found.error) << predict;  // 2 E[w d 0.1], d = 1
    EXPECT_GT(found.mean, 4 * found.error) << predict;
  }
}

}  // namespace
}  // namespace pathline::trainer

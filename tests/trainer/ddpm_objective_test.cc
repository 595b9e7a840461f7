// SPDX-License-Identifier: Apache-2.0
// Training at discrete times, against guided-diffusion's formulas written out element by element, and the variance it
// learns against the one of Gaussian data, which is known.
#include "trainer/ddpm_objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full_like.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "flow/interpolate.h"
#include "flow/keyed_draws.h"
#include "sampler/noise_schedule.h"
#include "tests/trainer/formula.h"
#include "trainer/options.h"

namespace pathline::trainer {
namespace {

constexpr std::uint64_t kSeed = 5;
constexpr double kDeviation = 0.6;  // of the Gaussian data around 0

flow::FlowOptions ddpm() {
  flow::FlowOptions options;
  options.objective = options.predict = "ddpm";
  return options;
}

model::ModelOptions network(bool learn_sigma) {
  model::ModelOptions options = tests::Formula::of_points();
  options.time_input = "ddpm999";
  options.learn_sigma = learn_sigma;
  return options;
}

Slice slice_of(std::int64_t count) {
  Slice slice;
  for (std::int64_t i = 0; i < count; ++i) slice.positions.push_back(static_cast<std::uint64_t>(i));
  slice.labels.assign(static_cast<std::size_t>(count), -1);
  slice.x1 = kDeviation * flow::keyed_noise(9, core::Purpose::kMadeData, slice.positions, {2});
  return slice;
}

/// The schedule as guided-diffusion's GaussianDiffusion.__init__ makes its arrays.
struct Schedule {
  std::vector<double> beta, bar, bar_before, posterior, log_posterior;

  Schedule() {
    double product = 1;
    for (int k = 0; k < 1000; ++k) {
      beta.push_back(1e-4 + (0.02 - 1e-4) * k / 999);
      bar_before.push_back(product);
      product *= 1 - beta.back();
      bar.push_back(product);
      posterior.push_back(beta[k] * (1 - bar_before[k]) / (1 - bar[k]));
    }
    for (int k = 0; k < 1000; ++k) log_posterior.push_back(std::log(posterior[std::max(k, 1)]));
  }
};

double cdf(double x) { return 0.5 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }

double level_log_likelihood(double x, double mean, double log_scale) {
  const double inverse = std::exp(-log_scale);
  const double above = cdf(inverse * (x - mean + 1.0 / 255)), below = cdf(inverse * (x - mean - 1.0 / 255));
  const double share = x < -0.999 ? above : x > 0.999 ? 1 - below : above - below;
  return std::log(std::max(share, 1e-12));
}

/// _vb_terms_bpd() of one element: x1, the noise that made x, and the network's noise and v.
double bound(const Schedule& table, int k, double x1, double noise, double e, double v) {
  const double a = std::sqrt(table.bar[k]), s = std::sqrt(1 - table.bar[k]), x = a * x1 + s * noise;
  const double by_x1 = table.beta[k] * std::sqrt(table.bar_before[k]) / (1 - table.bar[k]);
  const double by_x = (1 - table.bar_before[k]) * std::sqrt(1 - table.beta[k]) / (1 - table.bar[k]);
  const double true_mean = by_x1 * x1 + by_x * x, mean = by_x1 * (x - s * e) / a + by_x * x;
  const double share = (v + 1) / 2;
  const double log_variance = share * std::log(table.beta[k]) + (1 - share) * table.log_posterior[k];
  if (k == 0) return -level_log_likelihood(x1, mean, 0.5 * log_variance) / std::log(2.0);
  const double kl =
      0.5 * (-1 + log_variance - table.log_posterior[k] + std::exp(table.log_posterior[k] - log_variance) +
             (true_mean - mean) * (true_mean - mean) * std::exp(-log_variance));
  return kl / std::log(2.0);
}

/// Some noise and some v, of x.
at::Tensor anything(const at::Tensor& x, const at::Tensor&) { return at::cat({0.9 * x, (3 * x).sin()}, 1); }

TEST(Ddpm, AsksAtTheIndicesOfTheScheduleForTheNoise) {
  const Schedule table;
  const Slice slice = slice_of(3000);
  tests::Formula model(anything, network(false));
  const Question question = DdpmObjective(ddpm(), kSeed, model).question(slice);
  const at::Tensor noise = flow::keyed_noise(kSeed, core::Purpose::kNoise, slice.positions, {2});
  double sum = 0;
  for (std::int64_t i = 0; i < 3000; ++i) {
    const double time = question.t[i].item<double>();
    const auto k = static_cast<int>(time);
    ASSERT_TRUE(time == k && k >= 0 && k < 1000);
    sum += time;
    const double x = std::sqrt(table.bar[k]) * slice.x1[i][0].item<double>() +
                     std::sqrt(1 - table.bar[k]) * noise[i][0].item<double>();
    EXPECT_NEAR(question.x[i][0].item<double>(), x, 1e-6);
    EXPECT_EQ(question.target[i][1].item<float>(), noise[i][1].item<float>());
  }
  EXPECT_NEAR(sum / 3000, 499.5, 4 * 1000 / std::sqrt(12.0 * 3000));  // four standard errors of a uniform mean
}

TEST(Ddpm, LossIsGuidedDiffusionsTermByTerm) {
  const Schedule table;
  const Slice slice = slice_of(3000);  // some of them at index 0, where the datum's own level is asked for
  tests::Formula with(anything, network(true)), without(anything, network(false));
  const DdpmObjective objective(ddpm(), kSeed, with);
  const Question question = objective.question(slice);
  ASSERT_GT((question.t == 0).sum().item<std::int64_t>(), 0);
  const at::Tensor losses = objective.loss_of(question),
                   plain = DdpmObjective(ddpm(), kSeed, without).loss_of(question);
  for (std::int64_t i = 0; i < 3000; ++i) {
    double squares = 0, bits = 0;
    for (std::int64_t d = 0; d < 2; ++d) {
      const double x = question.x[i][d].item<double>(), noise = question.target[i][d].item<double>();
      const double e = 0.9f * question.x[i][d].item<float>(), v = std::sin(3 * x);
      squares += (e - noise) * (e - noise) / 2;
      bits +=
          bound(table, static_cast<int>(question.t[i].item<double>()), slice.x1[i][d].item<double>(), noise, e, v) / 2;
    }
    EXPECT_NEAR(plain[i].item<double>(), squares, 1e-5 * (1 + squares));
    EXPECT_NEAR(losses[i].item<double>(), squares + bits, 2e-4 * (1 + squares + bits)) << question.t[i].item<double>();
  }
}

/// Of the data N(0, d^2): the share of log beta (f = (v + 1) / 2) that makes the variance of p(x_{k-1} | x_k), which is
/// the posterior's and what the datum's own leaves open.
double right_share(const Schedule& table, int k) {
  const double bar = table.bar[k],
               open = kDeviation * kDeviation * (1 - bar) / (bar * kDeviation * kDeviation + 1 - bar);
  const double by_x1 = table.beta[k] * std::sqrt(table.bar_before[k]) / (1 - bar);
  const double variance = table.posterior[k] + by_x1 * by_x1 * open;
  return (std::log(variance) - table.log_posterior[k]) / (std::log(table.beta[k]) - table.log_posterior[k]);
}

/// The network that is right about these data, but for `off` in f.
at::Tensor right_answer(const Schedule& table, const at::Tensor& x, const at::Tensor& t, double off) {
  const at::Tensor noise = flow::of_times(t, [&](double k) {
    const double bar = table.bar[static_cast<std::size_t>(k)];
    return std::sqrt(1 - bar) / (bar * kDeviation * kDeviation + 1 - bar);
  });
  const at::Tensor share =
      flow::of_times(t, [&](double k) { return k == 0 ? 0 : right_share(table, static_cast<int>(k)); });
  const at::Tensor v = (2 * (share + off) - 1).unsqueeze(1).expand(x.sizes());
  return at::cat({(noise.unsqueeze(1) * x), v}, 1).to(at::kFloat);
}

/// Nats of an element's expected KL where f is off by so much: with r the logarithm of the variance over the
/// posterior's and R that of the right variance, (r - 1 + exp(R - r)) / 2.
double expected_nats(const Schedule& table, int k, double off) {
  const double range = std::log(table.beta[k]) - table.log_posterior[k], right = right_share(table, k) * range;
  const double chosen = right + off * range;
  return 0.5 * (chosen - 1 + std::exp(right - chosen));
}

TEST(Ddpm, BoundHasItsClosedFormAndIsLeastAtTheVarianceOfTheReverseStep) {
  const Schedule table;
  const Slice slice = slice_of(40000);
  const auto bits = [&](double off) {  // of the indices where beta and the posterior's variance are told apart
    const auto answer = [&](const at::Tensor& x, const at::Tensor& t) { return right_answer(table, x, t, off); };
    tests::Formula with(answer, network(true)), without(answer, network(false));
    const DdpmObjective objective(ddpm(), kSeed, with);
    const Question question = objective.question(slice);
    const at::Tensor all = objective.loss_of(question) - DdpmObjective(ddpm(), kSeed, without).loss_of(question);
    const at::Tensor early = question.t.gt(0).logical_and(question.t.lt(30));
    const at::Tensor expected = flow::of_times(question.t.masked_select(early), [&](double k) {
      return expected_nats(table, static_cast<int>(k), off) / std::log(2.0);
    });
    return std::pair{all.masked_select(early).to(at::kDouble), expected};
  };
  const auto error = [](const at::Tensor& values) {
    return values.std().item<double>() / std::sqrt(static_cast<double>(values.numel()));
  };
  const at::Tensor right = bits(0).first;
  for (const double off : {-1.0, 0.0, 1.0}) {
    const auto [found, expected] = bits(off);
    EXPECT_LT(std::abs((found - expected).mean().item<double>()), 4 * error(found - expected)) << off;
    if (off == 0) continue;
    EXPECT_GT((found - right).mean().item<double>(), 4 * error(found - right)) << off;
  }
}

TEST(Ddpm, TheBoundMovesTheVarianceAlone) {
  const Slice slice = slice_of(64);
  const auto gradient = [&](bool learn_sigma) {
    at::Tensor scale = at::full_like(slice.x1.select(1, 0).select(0, 0), 0.9).requires_grad_(true);
    tests::Formula model(
        [&](const at::Tensor& x, const at::Tensor&) {
          return at::cat({scale * x, x}, 1);
        },
        network(learn_sigma));
    DdpmObjective(ddpm(), kSeed, model).loss_per_sample(slice).sum().backward();
    return scale.grad().item<double>();
  };
  EXPECT_NEAR(gradient(true), gradient(false), 1e-5 * std::abs(gradient(false)));
}

std::string refusal(const std::string& flow) {
  core::Config config =
      core::Config::from_text("[data]\npath = [\"a.h5\"]\n[flow]\nobjective = \"ddpm\"\n" + flow, "test");
  try {
    const Recipe recipe = read_recipe(config);
    tests::Formula model(anything);  // is given times of flow
    DdpmObjective(recipe.flow, kSeed, model);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
    return error.what();
  }
  return "";
}

TEST(Ddpm, RefusesWhatMakesNoSense) {
  const std::string predict = "predict = \"ddpm\"\n";
  for (const auto& [text, why] : {std::pair{std::string(), "Set predict"},
                                  {predict + "time = \"cosmap\"\n", "drawn alike"},
                                  {predict + "weight = \"edm\"\n", "drawn alike"},
                                  {predict + "coupling = \"ot\"\n", "independently"},
                                  {predict + "mask = \"half\"\n", "flow matching"},
                                  {predict, "time_input"}}) {
    EXPECT_NE(refusal(text).find(why), std::string::npos) << refusal(text);
  }
}

}  // namespace
}  // namespace pathline::trainer

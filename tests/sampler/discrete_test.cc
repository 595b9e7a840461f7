// SPDX-License-Identifier: Apache-2.0
// DDPM and DDIM beside guided-diffusion's own code (scripts/diffusion_parity.py), same predictor and same noise.
#include "sampler/discrete.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/full.h>
#include <ATen/ops/max.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/roll.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "sampler/generate.h"
#include "tests/sampler/fields.h"
#include "tests/sampler/guided_diffusion_golden.h"
#include "tests/sampler/integrate.h"

namespace pathline::sampler {
namespace {

using tests::integrate;

using namespace tests::guided_diffusion_golden;  // tables of numbers

at::Tensor predicted_noise(const at::Tensor& x, const at::Tensor& t) {
  return at::tanh(0.8 * x + 0.3 * at::roll(x, -1, 1)) + 0.1 * at::cos(tests::per_row(t, x) / 500);
}

at::Tensor noise_and_variance(const at::Tensor& x, const at::Tensor& t, const at::Tensor&) {
  return at::cat({predicted_noise(x, t), at::sin(x + tests::per_row(t, x) / 300)}, 1);
}

void golden_draw(std::int64_t, std::int64_t draw, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double k = static_cast<double>(draw), place = static_cast<double>(i);
    out[i] = static_cast<float>(1.5 * std::sin(12.9898 * (place + 1) + 78.233 * (k + 1)));
  }
}

SolverOptions options_of(const Case& golden) {
  SolverOptions options;
  options.solver = golden.solver;
  options.noise_schedule = golden.schedule;
  options.respacing = golden.spacing;
  options.variance = golden.variance;
  options.clip_denoised = golden.clip;
  options.eta = golden.eta;
  return options;
}

TEST(DiscreteReverse, EndsWhereGuidedDiffusionEnds) {
  for (const Case& golden : kCases) {
    const bool learned = std::string(golden.variance) == "learned-range";
    const Field field = [learned](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
      return learned ? noise_and_variance(x, t, labels) : predicted_noise(x, t);
    };
    std::vector<std::int64_t> nfe;
    const at::Tensor start = at::tensor(kStart, at::kFloat).unsqueeze(0);
    const at::Tensor end = integrate(field, start, {}, -1, options_of(golden), &nfe, golden_draw).squeeze(0);
    const at::Tensor expected = at::tensor(golden.end, at::kFloat);
    EXPECT_LT((at::abs(end - expected) / (1 + at::abs(expected))).max().item<float>(), 1e-4)
        << golden.solver << " " << golden.schedule << " " << golden.spacing << " " << golden.variance;
    EXPECT_EQ(nfe[0], 10);
  }
}

TEST(DiscreteReverse, KeepsTheTimesThatGuidedDiffusionKeeps) {
  for (const Spacing& golden : kSpacings) {
    const std::vector<std::int64_t> times = spaced_times(golden.text, 1000);
    ASSERT_EQ(static_cast<std::int64_t>(times.size()), golden.count) << golden.text;
    std::vector<std::int64_t> ends(times.begin(), times.begin() + 4);
    ends.insert(ends.end(), times.end() - 4, times.end());
    EXPECT_EQ(ends, golden.times) << golden.text;
  }
  for (const char* impossible : {"ddim7777", "0", "1001", "600,600", "x"}) {
    EXPECT_THROW(spaced_times(impossible, 1000), core::Error) << impossible;
  }
}

TEST(DiscreteReverse, GuidanceMovesTheNoiseAndLeavesTheVariance) {
  SolverOptions options;
  options.solver = "ddpm";
  options.noise_schedule = "ddpm-linear";
  options.variance = "learned-range";
  options.clip_denoised = false;
  options.steps = 10;
  const double weight = 3;
  constexpr std::int64_t kNull = 4;
  const auto answer = [](const at::Tensor& x, const at::Tensor& noise, const at::Tensor& v) {
    return at::cat({(0.5 * x + noise).expand_as(x), v.expand_as(x)}, 1).to(x.scalar_type());
  };
  // Noise and v of label l: 0.5 x + l / 10 and l / 4 - 0.6; label 1 is asked for.
  const Field by_label = [&](const at::Tensor& x, const at::Tensor&, const at::Tensor& labels) {
    const at::Tensor label = labels.view({-1, 1}).to(x.scalar_type());
    return answer(x, label / 10, label / 4 - 0.6);
  };
  const auto of_one = [&](double noise, double v) -> Field {
    return [=](const at::Tensor& x, const at::Tensor&, const at::Tensor&) {
      return answer(x, at::full({1, 1}, noise, x.options()), at::full({1, 1}, v, x.options()));
    };
  };
  const at::Tensor start = at::tensor(kStart, at::kFloat).unsqueeze(0), label = at::ones({1}, at::kLong);
  const auto end_of = [&](const Field& field, double guidance) {
    options.guidance = guidance;
    return integrate(field, start, label, kNull, options, nullptr, golden_draw);
  };
  const auto guided = [&](double of_null, double of_label) { return of_null + weight * (of_label - of_null); };
  const at::Tensor end = end_of(by_label, weight);
  const auto far_from = [&](const at::Tensor& other) { return at::abs(end - other).max().item<float>(); };
  EXPECT_LT(far_from(end_of(of_one(guided(0.4, 0.1), -0.35), 1)), 1e-5);
  EXPECT_GT(far_from(end_of(of_one(guided(0.4, 0.1), guided(0.4, -0.35)), 1)), 1e-2) << "both would do";
}

TEST(DiscreteReverse, LearnedVarianceNeedsANetworkThatPredictsIt) {
  SolverOptions options;
  options.solver = "ddpm";
  options.noise_schedule = "ddpm-linear";
  options.variance = "learned-range";
  options.steps = 10;
  const Field plain = [](const at::Tensor& x, const at::Tensor& t, const at::Tensor&) { return predicted_noise(x, t); };
  const at::Tensor start = at::tensor(kStart, at::kFloat).unsqueeze(0);
  EXPECT_THROW(integrate(plain, start, {}, -1, options, nullptr, golden_draw), core::Error);
}

}  // namespace
}  // namespace pathline::sampler

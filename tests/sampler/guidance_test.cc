// SPDX-License-Identifier: Apache-2.0
#include "sampler/guidance.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "sampler/generate.h"
#include "tests/sampler/fields.h"

namespace pathline::sampler {
namespace {

constexpr std::int64_t kNull = 10;

/// v = label: end points are start + label, and guidance is arithmetic on labels.
at::Tensor label_field(const at::Tensor& x, const at::Tensor&, const at::Tensor& labels) {
  return tests::per_row(labels, x).to(x.scalar_type()).expand_as(x);
}

at::Tensor evaluated(const Guidance& guidance, const std::vector<float>& weights, std::int64_t channels = 3) {
  const auto rows = static_cast<std::int64_t>(weights.size());
  const GuidedField field(label_field, guidance);
  return field(at::ones({rows, channels, 4, 4}), at::ones({rows}), at::full({rows}, 3, at::kLong), at::tensor(weights));
}

TEST(Guidance, IsNullPlusWeightTimesTheDifference) {
  for (const float weight : {0.0f, 0.5f, 2.0f, 4.0f}) {
    const at::Tensor v = evaluated({kNull, 0, {}}, {weight, weight});
    EXPECT_TRUE(at::equal(v, at::full_like(v, kNull + weight * (3 - kNull)))) << weight;
  }
}

TEST(Guidance, EveryRowHasAWeightOfItsOwn) {
  const at::Tensor v = evaluated({kNull, 0, {}}, {1.0f, 2.0f, 1.0f, 3.0f});
  EXPECT_EQ(v[0][0][0][0].item<float>(), 3.0f);
  EXPECT_EQ(v[1][0][0][0].item<float>(), kNull + 2.0f * (3 - kNull));
  EXPECT_EQ(v[3][2][3][3].item<float>(), kNull + 3.0f * (3 - kNull));
}

TEST(Guidance, OfTheFirstChannelsLeavesTheOthersConditional) {
  const at::Tensor v = evaluated({kNull, 3, {}}, {2.0f}, 4);
  EXPECT_EQ(v[0][2][0][0].item<float>(), kNull + 2.0f * (3 - kNull));
  EXPECT_EQ(v[0][3][0][0].item<float>(), 3.0f);
}

TEST(Guidance, AWeakerNetworkTakesThePlaceOfNoCondition) {
  const Field weaker = [](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    return label_field(x, t, labels) - 1;  // it is asked with the sample's own label
  };
  EXPECT_EQ(evaluated({-1, 0, weaker}, {3.0f})[0][0][0][0].item<float>(), 2.0f + 3.0f * (3 - 2));
}

TEST(Guidance, WeightOneCostsOneEvaluationAndNeverAsksForTheNullLabel) {
  std::int64_t calls = 0;
  const Field counting = [&](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    ++calls;
    EXPECT_FALSE((labels == kNull).any().item<bool>());
    return label_field(x, t, labels);
  };
  SolverOptions solver;
  solver.solver = "euler";
  solver.steps = 5;
  std::vector<std::int64_t> nfe;
  const at::Tensor labels = at::full({2}, 3, at::kLong);
  integrate(counting, at::ones({2, 1, 2, 2}), labels, kNull, solver, &nfe);
  EXPECT_EQ(calls, 5);
  EXPECT_EQ(nfe, (std::vector<std::int64_t>{5, 5}));
}

TEST(Guidance, AGuidedEvaluationCountsTwo) {
  SolverOptions solver;
  solver.solver = "heun";
  solver.steps = 5;
  solver.guidance = 2.0;
  std::vector<std::int64_t> nfe;
  const at::Tensor labels = at::full({2}, 3, at::kLong);
  const at::Tensor end = integrate(label_field, at::ones({2, 1, 2, 2}), labels, kNull, solver, &nfe);
  EXPECT_EQ(nfe, (std::vector<std::int64_t>{20, 20}));
  EXPECT_NEAR(end[0][0][0][0].item<double>(), 1 + kNull + 2.0 * (3 - kNull), 1e-5);
}

TEST(Guidance, AnAdaptiveSolverLandsOnTheIntervalsEndsAndNeverMixes) {
  // v = 1 with a label, 0 without: guided with weight 3 it is 3. The flow from 0 is then 3 (b - a) + 1 - (b - a).
  const Field unit = [](const at::Tensor& x, const at::Tensor&, const at::Tensor& labels) {
    return (tests::per_row(labels, x) != kNull).to(x.scalar_type()).expand_as(x);
  };
  for (const std::string solver : {"dopri5", "bosh3", "tsit5", "dopri8"}) {
    SolverOptions options;
    options.solver = solver;
    options.rtol = options.atol = 1e-6;
    options.guidance = 3;
    options.guidance_from = 0.23;
    options.guidance_to = 0.71;
    const at::Tensor labels = at::full({1}, 3, at::kLong);
    const at::Tensor start = at::zeros({1, 1, 2, 2}, at::kDouble);
    const at::Tensor end = integrate(unit, start, labels, kNull, options);
    EXPECT_NEAR(end[0][0][0][0].item<double>(), 1 + 2 * (0.71 - 0.23), 1e-13) << solver;
  }
}

TEST(Guidance, OutsideItsIntervalAnEvaluationCostsOne) {
  SolverOptions options;
  options.solver = "heun";
  options.steps = 10;
  options.guidance = 3;
  options.guidance_from = 0.3;
  options.guidance_to = 0.8;
  std::vector<std::int64_t> nfe;
  const at::Tensor labels = at::full({2}, 3, at::kLong);
  integrate(label_field, at::ones({2, 1, 2, 2}), labels, kNull, options, &nfe);
  EXPECT_EQ(nfe, (std::vector<std::int64_t>{10 * 2 + 5 * 2, 10 * 2 + 5 * 2}));
}

TEST(Guidance, IsRefusedWithoutLabels) {
  try {
    evaluated({-1, 0, {}}, {2.0f});
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
  }
}

}  // namespace
}  // namespace pathline::sampler

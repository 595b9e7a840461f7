// SPDX-License-Identifier: Apache-2.0
#include "sampler/guidance.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "sampler/generate.h"
#include "sampler/slot_engine.h"
#include "tests/sampler/fields.h"
#include "tests/sampler/integrate.h"

namespace pathline::sampler {
namespace {

using tests::integrate;

constexpr std::int64_t kNull = 10;

/// v = label: end points are start + label, and guidance is arithmetic on labels.
at::Tensor label_field(const at::Tensor& x, const at::Tensor&, const at::Tensor& labels) {
  return tests::per_row(labels, x).to(x.scalar_type()).expand_as(x);
}

/// The field's values (rows, channels, 4, 4) at label 3: where a step of Euler's leads from 0. Two rows a tick, so that
/// pairs of three samples come apart.
at::Tensor evaluated(const GuidedField& field, const std::vector<float>& weights, std::int64_t channels = 3) {
  SolverOptions euler;
  euler.solver = "euler";
  euler.steps = 1;
  SlotEngine<float> engine(field, method_maker<float>(euler, channels * 16, {}), {channels, 4, 4}, 2, true);
  std::size_t row = 0;
  const auto next = [&]() -> std::optional<Start> {
    if (row == weights.size()) return std::nullopt;
    Start start{static_cast<std::int64_t>(row), 3, at::zeros({channels, 4, 4}), weights[row]};
    ++row;
    return start;
  };
  std::vector<at::Tensor> ends(weights.size());
  engine.run(next, [&](Finish&& finish) { ends[static_cast<std::size_t>(finish.id)] = finish.x; });
  return at::stack(ends);
}

TEST(Guidance, IsNullPlusWeightTimesTheDifference) {
  for (const float weight : {0.0f, 0.5f, 2.0f, 4.0f}) {
    const at::Tensor v = evaluated({label_field, kNull}, {weight, weight, weight});
    EXPECT_TRUE(at::equal(v, at::full_like(v, kNull + weight * (3 - kNull)))) << weight;
  }
}

TEST(Guidance, EveryRowHasAWeightOfItsOwn) {
  const at::Tensor v = evaluated({label_field, kNull}, {1.0f, 2.0f, 1.0f, 3.0f});
  EXPECT_EQ(v[0][0][0][0].item<float>(), 3.0f);
  EXPECT_EQ(v[1][0][0][0].item<float>(), kNull + 2.0f * (3 - kNull));
  EXPECT_EQ(v[3][2][3][3].item<float>(), kNull + 3.0f * (3 - kNull));
}

TEST(Guidance, OfTheFirstChannelsLeavesTheOthersConditional) {
  const at::Tensor v = evaluated({label_field, kNull, 3}, {2.0f}, 4);
  EXPECT_EQ(v[0][2][0][0].item<float>(), kNull + 2.0f * (3 - kNull));
  EXPECT_EQ(v[0][3][0][0].item<float>(), 3.0f);
}

TEST(Guidance, AWeakerNetworkTakesThePlaceOfNoCondition) {
  const Field weaker = [](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    return label_field(x, t, labels) - 1;  // it is asked with the sample's own label
  };
  EXPECT_EQ(evaluated({label_field, -1, 0, weaker}, {3.0f})[0][0][0][0].item<float>(), 2.0f + 3.0f * (3 - 2));
}

TEST(Guidance, APushIsAddedAsItIsToWhatTheWeightGives) {
  const Field push = [](const at::Tensor& x, const at::Tensor&, const at::Tensor& labels) {
    EXPECT_FALSE((labels == kNull).any().item<bool>());
    return 100 * tests::per_row(labels, x).to(x.scalar_type()).expand_as(x);
  };
  const at::Tensor v = evaluated({label_field, kNull, 3, {}, push}, {1.0f, 2.0f, 1.0f}, 4);
  EXPECT_EQ(v[0][0][0][0].item<float>(), 3.0f + 300.0f);
  EXPECT_EQ(v[1][0][0][0].item<float>(), kNull + 2.0f * (3 - kNull) + 300.0f);
  EXPECT_EQ(v[1][3][0][0].item<float>(), 3.0f + 300.0f);
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
    evaluated({label_field}, {2.0f});
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
  }
}

}  // namespace
}  // namespace pathline::sampler

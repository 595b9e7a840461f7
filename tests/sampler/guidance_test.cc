// SPDX-License-Identifier: Apache-2.0
#include "sampler/guidance.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ones.h>
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

TEST(Guidance, IsNullPlusWeightTimesTheDifference) {
  const at::Tensor x = at::ones({2, 3, 4, 4});
  const at::Tensor labels = at::full({2}, 3, at::kLong);
  for (const double weight : {0.0, 0.5, 2.0, 4.0}) {
    const CostedField field = guided(label_field, weight, kNull);
    EXPECT_EQ(field.passes, 2);
    const double expected = kNull + weight * (3 - kNull);
    EXPECT_TRUE(at::equal(field.field(x, at::ones({2}), labels), at::full_like(x, expected))) << weight;
  }
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

TEST(Guidance, IsRefusedWithoutLabels) {
  try {
    guided(label_field, 2.0, -1);
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
  }
}

}  // namespace
}  // namespace pathline::sampler

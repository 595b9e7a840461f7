// SPDX-License-Identifier: Apache-2.0
// A bijection is sampled in one step, and its densities are those of its law.
#include "sampler/bijection.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <map>

#include "core/error.h"
#include "sampler/generate.h"
#include "tests/model/support.h"

namespace pathline::sampler {
namespace {

class BijectionTest : public testing::Test {
 protected:
  BijectionTest() {
    model::ModelOptions options;
    options.name = "RealNVP";
    options.activation = "silu";
    options.input_channels = 2;
    options.classes = 3;
    options.hidden = 16;
    options.depth = 1;
    options.couplings = 4;
    module_ = model::make_module(options, 1);
    tests::set_formula_weights(*module_);
  }

  model::Bijection& model() { return model::as_bijection(*module_, "the test"); }
  static model::Condition condition(std::int64_t label) {
    model::Condition condition;
    condition.labels = at::full({1}, label, at::kLong);
    return condition;
  }

  std::unique_ptr<model::Module> module_;
};

TEST_F(BijectionTest, ASampleIsTheInverseOfItsNoise) {
  Job job;
  job.sample_shape = {2};
  job.null_label = 3;
  job.slots = 16;
  job.seed = 5;
  job.solver = in_one_step({});
  const at::NoGradGuard no_grad;
  std::int64_t made = 0;
  generate(
      one_step_field_of(model()), job, 0, 20, [](std::int64_t id) { return id % 3; },
      [&](Sample&& sample) {
        const at::Tensor x0 = start_noise(5, sample.id, {2}).unsqueeze(0);
        const at::Tensor expected = model().to_data(x0, condition(sample.id % 3))[0];
        EXPECT_LT((sample.value - expected).abs().max().item<float>(), 1e-5f);  // x0 + (x1 - x0), and the batch's shape
        EXPECT_EQ(sample.nfe, 1);
        ++made;
      });
  EXPECT_EQ(made, 20);
}

TEST_F(BijectionTest, DensitiesAreThoseOfTheModelInAnyCompany) {
  const at::Tensor x = tests::noise({20, 2}, 3);
  std::map<std::int64_t, double> log_p;
  std::int64_t next = 0;
  log_densities(
      model(), 16, true,
      [&]() -> std::optional<Datum> {
        if (next == 20) return std::nullopt;
        const std::int64_t id = next++;
        return Datum{id, id % 4, x[id]};
      },
      [&](const LogDensity& found) { log_p[found.id] = found.log_p; });
  ASSERT_EQ(log_p.size(), 20u);
  const at::NoGradGuard no_grad;
  for (const auto& [id, found] : log_p) {
    const double expected = model::log_density(model(), x.narrow(0, id, 1), condition(id % 4)).item<double>();
    EXPECT_NEAR(found, expected, 1e-5);
  }
}

TEST_F(BijectionTest, RefusesASolverAndGuidance) {
  SolverOptions solver;
  solver.solver = "heun";
  EXPECT_THROW(in_one_step(solver), core::Error);
  SolverOptions guided;
  guided.guidance = 2.0;
  EXPECT_THROW(in_one_step(guided), core::Error);
}

}  // namespace
}  // namespace pathline::sampler

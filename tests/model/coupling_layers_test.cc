// SPDX-License-Identifier: Apache-2.0
// RealNVP: its inverse is exact, its log-determinant that of the Jacobian which autograd computes.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/linalg_slogdet.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "core/error.h"
#include "model/bijection.h"
#include "tests/model/support.h"

namespace pathline {
namespace {

model::ModelOptions couplings(std::int64_t size, std::int64_t channels, std::int64_t classes) {
  model::ModelOptions options;
  options.name = "RealNVP";
  options.input_size = size;
  options.input_channels = channels;
  options.classes = classes;
  options.activation = "silu";
  options.hidden = 12;
  options.depth = 2;
  options.couplings = 5;
  return options;
}

/// One whose scales and shifts are far from zero.
class Couplings : public testing::TestWithParam<model::ModelOptions> {
 protected:
  Couplings() : module_(model::make_module(GetParam(), 1)), model_(model::as_bijection(*module_, "the test")) {
    tests::set_formula_weights(*module_);
    const model::ModelOptions& options = GetParam();
    const double size =
        options.input_size > 0 ? 0.7 : 3;  // else a Jacobian of sums over 108 weights is ill-conditioned
    for (const model::NamedTensor& parameter : module_->parameters()) parameter.tensor.detach().mul_(size);
    std::vector<std::int64_t> shape = {kRows, options.input_channels};
    if (options.input_size > 0) shape.insert(shape.end(), 2, options.input_size);
    x_ = tests::noise(shape, 1);
    if (options.classes > 0) condition_.labels = at::arange(kRows, at::kLong).remainder(3);
  }

  static constexpr std::int64_t kRows = 4;
  std::unique_ptr<model::Module> module_;
  model::Bijection& model_;
  at::Tensor x_;
  model::Condition condition_;
};
INSTANTIATE_TEST_SUITE_P(, Couplings,
                         testing::Values(couplings(0, 2, 0), couplings(0, 3, 2), couplings(4, 1, 0),
                                         couplings(4, 2, 2)),
                         [](const auto& info) { return "Case" + std::to_string(info.index); });

TEST_P(Couplings, ForwardThenInverseReturnsTheDatum) {
  const at::NoGradGuard no_grad;
  const model::Bijection::Noise noise = model_.to_noise(x_, condition_);
  EXPECT_GT((noise.z - x_).abs().max().item<float>(), 0.3f);  // it does something
  const at::Tensor back = model_.to_data(noise.z, condition_);
  // Each of five layers rounds a handful of times; scales are at most e^0.75.
  EXPECT_LT((back - x_).abs().max().item<float>(), 1e-5f);
  EXPECT_LT((model_.to_noise(back, condition_).log_det - noise.log_det).abs().max().item<float>(), 1e-5f);
}

TEST_P(Couplings, LogDeterminantIsThatOfTheJacobian) {
  const at::Tensor x = x_.detach().requires_grad_(true);
  const model::Bijection::Noise noise = model_.to_noise(x, condition_);
  const at::Tensor z = noise.z.flatten(1).sum(0);  // rows are independent: one derivative serves all
  std::vector<at::Tensor> rows;
  for (std::int64_t i = 0; i < z.size(0); ++i) {
    rows.push_back(torch::autograd::grad({z[i]}, {x}, {}, /*retain_graph=*/true)[0].flatten(1));
  }
  const at::Tensor jacobian = at::stack(rows, 1).to(at::kDouble);  // (N, D, D)
  const at::Tensor expected = std::get<1>(at::linalg_slogdet(jacobian));
  EXPECT_LT((noise.log_det.to(at::kDouble) - expected).abs().max().item<double>(), 2e-5);
  EXPECT_GT(expected.abs().max().item<double>(), 0.05);
}

TEST_P(Couplings, AreTheIdentityAtFirst) {
  const auto fresh = model::make_module(GetParam(), 1);
  const auto noise = model::as_bijection(*fresh, "the test").to_noise(x_, condition_);
  EXPECT_TRUE(noise.z.equal(x_));
  EXPECT_EQ(noise.log_det.abs().max().item<float>(), 0.0f);
  const auto log_p = model::log_density(model::as_bijection(*fresh, "the test"), x_, condition_);
  const at::Tensor normal = -0.5 * (x_.to(at::kDouble).square() + std::log(2 * std::numbers::pi)).flatten(1).sum(1);
  EXPECT_LT((log_p - normal).abs().max().item<double>(), 1e-5);
}

TEST_P(Couplings, WaitForTheirParameters) {
  const at::NoGradGuard no_grad;
  const at::Tensor open = model_.to_noise(x_, condition_).z;
  const auto& parameters = module_->parameters();
  std::vector<at::Tensor> values;
  for (const model::NamedTensor& parameter : parameters) {
    values.push_back(parameter.tensor.detach().clone());
    parameter.tensor.detach().fill_(std::numeric_limits<float>::quiet_NaN());
  }
  std::size_t released = 0;
  module_->set_parameter_gate([&](std::size_t count) {
    for (; released < count; ++released) parameters[released].tensor.detach().copy_(values[released]);
  });
  EXPECT_TRUE(open.equal(model_.to_noise(x_, condition_).z));
  EXPECT_EQ(released, parameters.size());
}

TEST(CouplingLayers, ALabelChangesTheMap) {
  const auto module = model::make_module(couplings(0, 2, 3), 1);
  tests::set_formula_weights(*module);
  auto& model = model::as_bijection(*module, "the test");
  const at::Tensor x = tests::noise({1, 2}, 1);
  model::Condition first, second;
  first.labels = at::zeros({1}, at::kLong);
  second.labels = at::ones({1}, at::kLong);
  EXPECT_FALSE(model.to_noise(x, first).z.equal(model.to_noise(x, second).z));
}

TEST(CouplingLayers, RefuseWhatTheyCannotMap) {
  for (const auto& options : {couplings(0, 1, 0), couplings(5, 1, 0)}) {
    EXPECT_THROW(model::make_module(options, 1), core::Error);
  }
  EXPECT_THROW(model::make_model(couplings(0, 2, 0), 1), core::Error);  // no velocity
}

}  // namespace
}  // namespace pathline

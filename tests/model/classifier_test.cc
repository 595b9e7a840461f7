// SPDX-License-Identifier: Apache-2.0
#include "model/classifier.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <memory>

#include "core/error.h"
#include "tests/model/support.h"

namespace pathline {
namespace {

using tests::noise;

model::ModelOptions options_for(bool images) {
  model::ModelOptions options = tests::tiny_transformer();
  options.name = "classifier";
  options.activation = "silu";
  if (!images) options.input_size = 0;
  return options;
}

class EachClassifier : public testing::TestWithParam<bool> {
 protected:
  EachClassifier()
      : module_(model::make_module(options_for(GetParam()), 1)), network_(model::as_classifier(*module_, "the test")) {
    std::uint64_t number = 100;  // weights that a new network has at zero must differ, too
    const at::NoGradGuard no_grad;
    for (const model::NamedTensor& named : module_->parameters()) {
      at::Tensor tensor = named.tensor;
      tensor.copy_(0.2 * noise(named.tensor.sizes().vec(), number++));
    }
  }
  static at::Tensor samples(std::int64_t count, std::uint64_t index) {
    return GetParam() ? noise({count, 3, 8, 8}, index) : noise({count, 3}, index);
  }
  static at::Tensor times() { return tests::times_of({0.1f, 0.4f, 0.7f, 1.0f}); }

  std::unique_ptr<model::Module> module_;
  model::Classifier& network_;
};
INSTANTIATE_TEST_SUITE_P(, EachClassifier, testing::Bool(),
                         [](const auto& info) { return std::string(info.param ? "Images" : "Points"); });

TEST_P(EachClassifier, GivesALogitForEveryClass) {
  const at::Tensor logits = network_.logits(samples(4, 1), times());
  EXPECT_EQ(logits.sizes(), (std::vector<std::int64_t>{4, 4}));
  EXPECT_GT(logits.std().item<double>(), 1e-3);
}

TEST_P(EachClassifier, GivesARowTheSameBitsWhateverItsMates) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = samples(4, 1), others = at::cat({x.narrow(0, 0, 1), samples(3, 2)}, 0);
  EXPECT_TRUE(network_.logits(x, times())[0].equal(network_.logits(others, times())[0]));
}

TEST_P(EachClassifier, MakesLogitsOfItsFeaturesByALinearMap) {
  const at::NoGradGuard no_grad;
  const std::int64_t count = 200;  // far more than there are features
  const at::Tensor x = samples(count, 1), t = at::ones({count});
  const at::Tensor features = at::cat({network_.features(x, t), at::ones({count, 1})}, 1).to(at::kDouble);
  ASSERT_LT(features.size(1), count / 2);
  EXPECT_GT(features.narrow(1, 0, features.size(1) - 1).std(0).min().item<double>(), 1e-4);
  const at::Tensor logits = network_.logits(x, t).to(at::kDouble);
  const at::Tensor map = features.pinverse().mm(logits);
  EXPECT_LT((features.mm(map) - logits).abs().max().item<double>(), 1e-4 * logits.abs().max().item<double>());
}

TEST_P(EachClassifier, KnowsNothingAtTheNoise) {
  const at::Tensor x = samples(4, 1).requires_grad_(true);
  const at::Tensor logits = network_.logits(x, at::zeros({4}));
  EXPECT_EQ((logits - logits[0]).abs().max().item<double>(), 0.0);
  EXPECT_EQ(torch::autograd::grad({logits.sum()}, {x})[0].abs().max().item<double>(), 0.0);
}

TEST_P(EachClassifier, HasTheGradientOfItsLogitsInTheSample) {
  const at::Tensor x = samples(4, 1).requires_grad_(true), weights = noise({4, 4}, 3);
  const auto value = [&](const at::Tensor& at) {
    return (network_.logits(at, times()) * weights).to(at::kDouble).sum();
  };
  const at::Tensor gradient = torch::autograd::grad({value(x)}, {x})[0];
  const at::NoGradGuard no_grad;
  const double norm = gradient.norm().item<double>(), step = 1e-2;
  const at::Tensor direction = gradient / norm;
  const double quotient = (value(x + step * direction) - value(x - step * direction)).item<double>() / (2 * step);
  EXPECT_NEAR(quotient, norm, 5e-3 * norm);  // fp32, and curvature over the step
}

TEST_P(EachClassifier, HasAGradientForEveryParameter) {
  (network_.logits(samples(4, 1), times()) * noise({4, 4}, 3)).sum().backward();
  for (const model::NamedTensor& parameter : module_->parameters()) {
    ASSERT_TRUE(parameter.tensor.grad().defined()) << parameter.name;
    EXPECT_GT(parameter.tensor.grad().abs().max().item<float>(), 0.0f) << parameter.name;
  }
}

TEST(Classifier, RecomputesItsBlocksWithTheSameBits) {
  std::vector<at::Tensor> gradients;
  for (const std::int64_t every : {0, 1}) {
    const auto module = model::make_module(options_for(true), 1);
    tests::set_formula_weights(*module);
    module->set_activation_checkpointing(every);
    const at::Tensor logits = model::as_classifier(*module, "the test")
                                  .logits(noise({4, 3, 8, 8}, 1), tests::times_of({0.1f, 0.4f, 0.7f, 1.0f}));
    (logits * noise({4, 4}, 3)).sum().backward();
    gradients.push_back(module->parameters()[2].tensor.grad());
  }
  EXPECT_TRUE(gradients[0].equal(gradients[1]));
}

TEST(Classifier, RefusesDataWithoutLabelsAndOtherNetworks) {
  const auto refusal = [](const auto& body) -> std::string {
    try {
      body();
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kUsage);
      return error.what();
    }
    return "";
  };
  model::ModelOptions unlabelled = options_for(false);
  unlabelled.classes = 0;
  EXPECT_NE(refusal([&] { model::make_module(unlabelled, 1); }).find("labels are what it learns"), std::string::npos);
  const auto velocity = model::make_module(tests::tiny_transformer(), 1);
  EXPECT_NE(refusal([&] { model::as_classifier(*velocity, "guidance"); }).find("guidance needs a classifier"),
            std::string::npos);
  const auto classifier = model::make_module(options_for(true), 1);
  EXPECT_NE(refusal([&] { model::as_velocity_model(*classifier, "sampling"); }), "");
}

}  // namespace
}  // namespace pathline

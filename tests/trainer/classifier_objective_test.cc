// SPDX-License-Identifier: Apache-2.0
// The cross-entropy of labels at states of a path is least for the exact p(label | x, t): that of two Gaussians is
// known.
#include "trainer/classifier_objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "core/error.h"
#include "flow/interpolate.h"
#include "flow/keyed_draws.h"
#include "trainer/options.h"

namespace pathline::trainer {
namespace {

constexpr double kOff = 1.0, kDeviation = 0.5;  // classes: normal around +-kOff in the first coordinate

/// log p(1 | x, t) - log p(0 | x, t) = 2 a kOff x / (a^2 deviation^2 + s^2), times `sharpness`; and the classes by
/// turns.
class Exact final : public model::Classifier {
 public:
  Exact(const std::string& path, double sharpness) : path_(flow::Path::parse(path)), sharpness_(sharpness) {
    options_.name = "classifier";
    options_.input_channels = 2;
    options_.classes = 2;
    parameters_.push_back({"none", at::zeros({1})});
  }
  at::Tensor features(const at::Tensor& x, const at::Tensor& t) override {
    const at::Tensor factor = flow::of_times(t, [&](double at) {
      const flow::PathPoint p = path_.at(at);
      return 2 * p.a * kOff / (p.a * p.a * kDeviation * kDeviation + p.s * p.s + path_.jitter() * path_.jitter());
    });
    return (sharpness_ * factor * x.select(1, 0)).unsqueeze(1).to(at::kFloat);
  }
  at::Tensor logits(const at::Tensor& x, const at::Tensor& t) override {
    const at::Tensor one = features(x, t).squeeze(1);
    return at::stack({at::zeros(one.sizes(), one.options()), one}, 1);
  }
  const std::vector<model::NamedTensor>& parameters() const override { return parameters_; }
  const std::vector<model::NamedTensor>& buffers() const override { return none_; }
  const model::ModelOptions& options() const override { return options_; }
  void set_training(bool) override {}
  void set_parameter_gate(std::function<void(std::size_t)>) override {}
  void set_activation_checkpointing(std::int64_t) override {}

 private:
  flow::Path path_;
  double sharpness_;
  model::ModelOptions options_;
  std::vector<model::NamedTensor> parameters_, none_;
};

Slice two_gaussians(std::int64_t count) {
  Slice slice;
  for (std::int64_t i = 0; i < count; ++i) {
    slice.positions.push_back(static_cast<std::uint64_t>(i));
    slice.labels.push_back(i % 2);
  }
  slice.x1 = kDeviation * flow::keyed_noise(9, core::Purpose::kMadeData, slice.positions, {2});
  for (std::int64_t i = 0; i < count; ++i) slice.x1[i][0] += i % 2 == 1 ? kOff : -kOff;
  return slice;
}

flow::FlowOptions along(const std::string& path) {
  flow::FlowOptions options;
  options.objective = "classifier";
  options.path = path;
  return options;
}

TEST(NoisyClassifier, TheExactOneHasTheLeastLossOnEveryPath) {
  constexpr std::int64_t kCount = 20000;
  const Slice slice = two_gaussians(kCount);
  for (const std::string path : {"linear", "icfm:0.5", "cosine", "vp", "ve:0.01,5"}) {
    const auto losses = [&](double sharpness, const std::string& believed) {
      Exact classifier(believed, sharpness);
      return ClassifierObjective(along(path), 3, classifier).loss_per_sample(slice).to(at::kDouble);
    };
    const at::Tensor exact = losses(1.0, path);
    for (const double sharpness : {0.7, 1.4}) {
      const at::Tensor worse = losses(sharpness, path) - exact;  // sample by sample
      const double error = worse.std().item<double>() / std::sqrt(static_cast<double>(kCount));
      EXPECT_GT(worse.mean().item<double>(), 3 * error) << path << " " << sharpness;
    }
  }
}

TEST(NoisyClassifier, ToldByTheDataAloneItKnowsNothingOfTheNoise) {
  Exact classifier("linear", 1.0);
  const ClassifierObjective objective(along("linear"), 3, classifier);
  const Slice slice = two_gaussians(4000);
  const at::Tensor hits = objective.held_out_hits_per_sample(slice), losses = objective.held_out_loss_per_sample(slice);
  const auto of_bin = [&](const at::Tensor& values, std::int64_t bin) {
    return values.view({-1, kTimeBins}).select(1, bin).mean().item<double>();
  };
  // t in [0.9, 1): 2 deviations between the middle and a class, 0.977 are told; t in [0, 0.1): a twentieth of that.
  EXPECT_NEAR(of_bin(hits, 9), 0.975, 4 * std::sqrt(0.975 * 0.025 / 400));
  EXPECT_NEAR(of_bin(hits, 0), 0.52, 4 * std::sqrt(0.25 / 400));
  EXPECT_NEAR(of_bin(losses, 0), std::log(2.0), 0.03);
  EXPECT_LT(of_bin(losses, 9), 0.12);
}

TEST(NoisyClassifier, RefusesSamplesWithoutLabels) {
  Exact classifier("linear", 1.0);
  const ClassifierObjective objective(along("linear"), 3, classifier);
  Slice slice = two_gaussians(4);
  slice.labels[2] = -1;
  try {
    objective.loss_per_sample(slice);
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kInput);
  }
}

TEST(NoisyClassifier, RefusesWhatMakesNoSense) {
  const auto read = [](const std::string& more) {
    core::Config config =
        core::Config::from_text("[data]\npath = [\"a.h5\"]\n[flow]\nobjective = \"classifier\"\n" + more, "test");
    read_recipe(config);
  };
  for (const std::string more : {"predict = \"noise\"\n", "coupling = \"ot\"\n", "source = \"uniform\"\n",
                                 "label_drop = 0.2\n", "distill_steps = 2\n"}) {
    EXPECT_THROW(read(more), core::Error) << more;
  }
  EXPECT_NO_THROW(read("label_drop = 0\n"));
}

}  // namespace
}  // namespace pathline::trainer

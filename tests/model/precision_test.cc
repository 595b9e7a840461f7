// SPDX-License-Identifier: Apache-2.0
// Networks whose parameters are bf16 views of one flat buffer, as a bf16 training run has them.
#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "model/dropout.h"
#include "model/layers.h"
#include "tests/model/support.h"

namespace pathline {
namespace {

constexpr double kUnit = 0x1p-8;  // largest relative error of rounding to bf16, which keeps 8 bits

struct Case {
  const char* name;
  model::ModelOptions options;
  double roundings;  // results rounded to bf16 one after the other, from the input to the loss
};

model::ModelOptions transformer(bool qk_norm) {
  model::ModelOptions options = tests::tiny_transformer();
  options.qk_norm = qk_norm;
  return options;
}

model::ModelOptions unet(bool scale_shift) {
  model::ModelOptions options = tests::tiny_unet();
  options.scale_shift_norm = scale_shift;
  options.dropout = 0.25;
  return options;
}

model::ModelOptions points() {
  model::ModelOptions options;
  options.name = "MLP";
  options.input_channels = 3;
  options.classes = 4;
  options.hidden = 64;
  options.depth = 3;
  return options;
}

tests::Inputs inputs_of(const model::ModelOptions& options) {
  tests::Inputs inputs = tests::four_rows();
  if (options.input_size == 0) inputs.x = tests::noise({4, options.input_channels}, 1);
  return inputs;
}

/// The parameters, rounded to bf16, in one flat buffer of `type`; the model's own become views of it.
at::Tensor flatten(model::VelocityModel& network, at::ScalarType type) {
  std::vector<at::Tensor> rows;
  for (const auto& parameter : network.parameters()) rows.push_back(parameter.tensor.detach().flatten());
  const at::Tensor flat = at::cat(rows).to(at::kBFloat16).to(type);
  std::int64_t begin = 0;
  for (const auto& parameter : network.parameters()) {
    at::Tensor tensor = parameter.tensor;
    tensor.set_data(flat.narrow(0, begin, tensor.numel()).view(tensor.sizes()));
    begin += tensor.numel();
  }
  return flat;
}

double size(const at::Tensor& tensor) { return std::sqrt(tensor.to(at::kDouble).square().sum().item<double>()); }

double distance(const at::Tensor& a, const at::Tensor& b) {
  return size(a.detach().to(at::kDouble) - b.detach().to(at::kDouble));
}

class Precision : public testing::TestWithParam<Case> {
 protected:
  struct Result {
    at::Tensor velocity;
    std::vector<at::Tensor> gradients;
  };

  std::unique_ptr<model::VelocityModel> network() const {
    auto network = model::make_model(GetParam().options, 1);
    tests::set_formula_weights(*network);
    network->set_training(true);
    return network;
  }

  Result result(at::ScalarType type) const {
    const auto network = this->network();
    flatten(*network, type);
    const tests::Inputs inputs = inputs_of(GetParam().options);
    Result result{network->velocity(inputs.x, inputs.t, inputs.condition), {}};
    (result.velocity * tests::noise(inputs.x.sizes().vec(), 3)).sum().backward();
    for (const auto& parameter : network->parameters()) result.gradients.push_back(parameter.tensor.grad());
    return result;
  }
};
INSTANTIATE_TEST_SUITE_P(, Precision,
                         testing::Values(Case{"Transformer", transformer(false), 25},
                                         Case{"TransformerWithQkNorm", transformer(true), 27},
                                         Case{"Unet", unet(false), 100}, Case{"UnetScaleShift", unet(true), 100},
                                         Case{"Mlp", points(), 7}),
                         [](const auto& info) { return info.param.name; });

// Independent roundings add up like a random walk: with n of them in a row the error grows to about kUnit sqrt(n), if
// no layer amplifies it. Gradients pass the network twice. Some are zero in exact arithmetic (a norm of keys shifts all
// scores alike; a norm over one channel forgets its shift): what rounding leaves of them is compared with twice the
// gradients' common size.
TEST_P(Precision, Bf16IsTheFp32NetworkUpToRounding) {
  const Result exact = result(at::kFloat), rounded = result(at::kBFloat16);
  EXPECT_EQ(rounded.velocity.scalar_type(), at::kFloat);
  EXPECT_LT(distance(rounded.velocity, exact.velocity), kUnit * std::sqrt(GetParam().roundings) * size(exact.velocity));
  double squares = 0.0, count = 0.0;
  for (const at::Tensor& gradient : exact.gradients) {
    squares += gradient.square().sum().item<double>();
    count += static_cast<double>(gradient.numel());
  }
  const auto names = network()->parameters();
  for (std::size_t i = 0; i < names.size(); ++i) {
    ASSERT_EQ(rounded.gradients[i].scalar_type(), at::kBFloat16) << names[i].name;
    ASSERT_TRUE(rounded.gradients[i].isfinite().all().item<bool>()) << names[i].name;
    const double others = 2 * std::sqrt(squares / count * static_cast<double>(exact.gradients[i].numel()));
    EXPECT_LT(distance(rounded.gradients[i], exact.gradients[i]),
              kUnit * std::sqrt(2 * GetParam().roundings) * std::max(size(exact.gradients[i]), others))
        << names[i].name;
  }
}

TEST_P(Precision, AnUpdateOfTheFlatBufferIsSeenByTheNextForward) {
  const at::NoGradGuard no_grad;
  const auto network = this->network();
  const at::Tensor flat = flatten(*network, at::kBFloat16);
  const tests::Inputs inputs = inputs_of(GetParam().options);
  const auto velocity = [&] { return network->velocity(inputs.x, inputs.t, inputs.condition); };
  const at::Tensor before = velocity(), weights = flat.clone();
  flat.zero_();
  EXPECT_EQ(velocity().abs().max().item<float>(), 0.0f);
  flat.copy_(weights);
  EXPECT_TRUE(before.equal(velocity()));
}

TEST_P(Precision, TheVelocityIsNotRounded) {
  const at::NoGradGuard no_grad;
  const auto network = this->network();
  flatten(*network, at::kBFloat16);
  const tests::Inputs inputs = inputs_of(GetParam().options);
  const at::Tensor v = network->velocity(inputs.x, inputs.t, inputs.condition);
  EXPECT_FALSE(v.equal(v.to(at::kBFloat16).to(at::kFloat)));
}

// 0.7 and 0.7 + 2^-11 are the same number in bf16.
TEST_P(Precision, TimeIsNotRounded) {
  const at::NoGradGuard no_grad;
  const auto network = this->network();
  flatten(*network, at::kBFloat16);
  const tests::Inputs inputs = inputs_of(GetParam().options);
  const auto at_time = [&](float t) {
    return network->velocity(inputs.x, tests::times_of({t, t, t, t}), inputs.condition);
  };
  EXPECT_FALSE(at_time(0.7f).equal(at_time(0.7f + 0x1p-11f)));
}

// Sums, weight and bias in fp32: the result is the fp32 one, rounded once (and its last bit may fall the other way).
TEST(GroupNorm, IsComputedInFp32) {
  const at::Tensor x = (tests::noise({2, 64, 8, 8}, 1) + 4.0).to(at::kBFloat16);
  const model::GroupNorm rounded{tests::noise({64}, 2).to(at::kBFloat16), tests::noise({64}, 3).to(at::kBFloat16)};
  const model::GroupNorm exact{rounded.weight.to(at::kFloat), rounded.bias.to(at::kFloat)};
  const at::Tensor want = exact(x.to(at::kFloat)), gap = (rounded(x).to(at::kFloat) - want).abs();
  EXPECT_TRUE((gap <= want.abs() * kUnit * 1.01 + 1e-5).all().item<bool>());
}

// Twice 600 samples of the same label: in bf16 a sum of ones stops at 256.
TEST(LabelTable, SumsItsGradientsInFp32) {
  for (const std::int64_t rows : {3, 2}) {  // with and without a row for the null label
    at::Tensor weight = at::zeros({rows, 4}, at::kBFloat16).set_requires_grad(true);
    const model::LabelTable table{weight, 2};
    table(at::zeros({600}, at::kLong)).sum().backward();
    EXPECT_EQ(weight.grad()[0][0].item<float>(), 600.0f);
  }
}

// 1 / 0.9 rounded to bf16 would make everything kept 0.16 % too small.
TEST(Dropout, RoundsItsResultAlone) {
  model::Condition condition;
  condition.positions = {7};
  const float value = 1.796875f;  // has 8 bits
  const at::Tensor x = at::full({1, 1000}, value, at::dtype(at::kBFloat16));
  const at::Tensor kept = model::keyed_dropout(x, 0.1, condition, 0).max();
  EXPECT_TRUE(kept.equal(at::full({}, value / 0.9f).to(at::kBFloat16)));
}

}  // namespace
}  // namespace pathline

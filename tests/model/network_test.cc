// SPDX-License-Identifier: Apache-2.0
// What every network promises: rows do not see each other, randomness is the sample's own, starts are keyed.
#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <cmath>

#include "tests/model/support.h"

namespace pathline {
namespace {

using tests::four_rows;
using tests::Inputs;
using tests::noise;

/// The rows in another order.
Inputs reversed(const Inputs& inputs) {
  Inputs out{inputs.x.flip(0), inputs.t.flip(0), inputs.condition};
  out.condition.labels = inputs.condition.labels.flip(0);
  std::reverse(out.condition.positions.begin(), out.condition.positions.end());
  return out;
}

at::Tensor velocity(model::VelocityModel& network, const Inputs& inputs) {
  const at::NoGradGuard no_grad;
  return network.velocity(inputs.x, inputs.t, inputs.condition);
}

class EachNetwork : public testing::TestWithParam<bool> {
 protected:
  static model::ModelOptions options() {
    model::ModelOptions options = GetParam() ? tests::tiny_unet() : tests::tiny_transformer();
    options.dropout = 0.5;
    return options;
  }
  EachNetwork() : network_(model::make_model(options(), 1)) { tests::set_formula_weights(*network_); }

  std::unique_ptr<model::VelocityModel> network_;
};
INSTANTIATE_TEST_SUITE_P(, EachNetwork, testing::Bool(),
                         [](const auto& info) { return std::string(info.param ? "Unet" : "Transformer"); });

TEST_P(EachNetwork, GivesARowTheSameBitsWhateverItsMates) {
  const Inputs inputs = four_rows();
  Inputs others = inputs;
  others.x = at::cat({inputs.x.narrow(0, 0, 1), noise({3, 3, 8, 8}, 2)}, 0);
  EXPECT_TRUE(velocity(*network_, inputs)[0].equal(velocity(*network_, others)[0]));
}

TEST_P(EachNetwork, PermutesItsOutputsWithItsRowsInTraining) {
  network_->set_training(true);  // dropout included
  const Inputs inputs = four_rows();
  EXPECT_TRUE(velocity(*network_, inputs).flip(0).equal(velocity(*network_, reversed(inputs))));
}

TEST_P(EachNetwork, GivesTheStateItsShape) {
  EXPECT_EQ(velocity(*network_, four_rows()).sizes(), four_rows().x.sizes());
}

TEST_P(EachNetwork, HasAGradientForEveryParameterInUse) {
  Inputs inputs = four_rows();
  network_->velocity(inputs.x, inputs.t, inputs.condition).square().sum().backward();
  for (const model::NamedTensor& parameter : network_->parameters()) {
    ASSERT_TRUE(parameter.tensor.grad().defined()) << parameter.name;
    EXPECT_GT(parameter.tensor.grad().abs().max().item<float>(), 0.0f) << parameter.name;
  }
}

// Directional derivative of a scalar of the output along one random direction in all parameters, against a central
// difference. In fp32 with step 1e-3 the difference quotient is good to about 1e-3.
TEST_P(EachNetwork, HasTheGradientOfItsForward) {
  const Inputs inputs = four_rows();
  const at::Tensor weights = noise({4, 3, 8, 8}, 3);
  const auto value = [&] { return (velocity(*network_, inputs).to(at::kDouble) * weights).sum().item<double>(); };
  (network_->velocity(inputs.x, inputs.t, inputs.condition) * weights).sum().backward();
  double slope = 0.0;
  std::vector<at::Tensor> directions;
  for (const model::NamedTensor& parameter : network_->parameters()) {
    directions.push_back(noise(parameter.tensor.sizes().vec(), core::hash_name(parameter.name)));
    slope += (parameter.tensor.grad().to(at::kDouble) * directions.back()).sum().item<double>();
  }
  const auto move = [&](double step) {
    for (std::size_t i = 0; i < directions.size(); ++i) {
      network_->parameters()[i].tensor.detach().add_(directions[i], step);
    }
  };
  move(1e-3);
  const double above = value();
  move(-2e-3);
  const double quotient = (above - value()) / 2e-3;
  EXPECT_NEAR(quotient, slope, 1e-2 * std::abs(slope));
}

TEST_P(EachNetwork, ComputesInTheTypeOfItsParameters) {
  Inputs inputs = four_rows();
  const at::Tensor exact = velocity(*network_, inputs);
  for (const model::NamedTensor& parameter : network_->parameters()) {
    at::Tensor tensor = parameter.tensor;
    tensor.set_data(tensor.detach().to(at::kBFloat16));
  }
  const at::Tensor out = network_->velocity(inputs.x, inputs.t, inputs.condition);
  EXPECT_EQ(out.scalar_type(), at::kFloat);
  // bf16 has 8 bits: each of some ten layers in a row is off by up to 0.4 %.
  EXPECT_LT(((out.detach() - exact).abs().max() / exact.abs().max()).item<float>(), 0.05f);
  out.sum().backward();
  EXPECT_EQ(network_->parameters()[0].tensor.grad().scalar_type(), at::kBFloat16);
}

TEST(Dropout, BelongsToTheSampleAndTheSeed) {
  model::ModelOptions options = tests::tiny_unet();
  options.dropout = 0.5;
  const auto network = model::make_model(options, 1);
  tests::set_formula_weights(*network);
  network->set_training(true);
  const Inputs inputs = four_rows();
  const at::Tensor first = velocity(*network, inputs);
  EXPECT_TRUE(first.equal(velocity(*network, inputs)));
  Inputs moved = inputs;
  moved.condition.positions[2] = 999;
  const at::Tensor second = velocity(*network, moved);
  EXPECT_TRUE(first[1].equal(second[1]));
  EXPECT_FALSE(first[2].equal(second[2]));
  network->set_training(false);
  EXPECT_FALSE(first.equal(velocity(*network, inputs)));
}

TEST(NullLabel, AddsNothingWhereTheTableHasNoRowForIt) {
  const auto network = model::make_model(tests::tiny_unet(), 1);
  tests::set_formula_weights(*network);
  Inputs inputs = four_rows();
  inputs.condition.labels = at::full({4}, 4, at::dtype(at::kLong));
  const at::Tensor null = velocity(*network, inputs);
  for (const model::NamedTensor& parameter : network->parameters()) {
    if (parameter.name == "label_emb.weight") parameter.tensor.detach().zero_();
  }
  inputs.condition.labels.zero_();
  EXPECT_TRUE(null.equal(velocity(*network, inputs)));
}

TEST(Start, TransformerAndUnetBeginAsZeroVelocity) {
  for (const model::ModelOptions& options : {tests::tiny_transformer(), tests::tiny_unet()}) {
    EXPECT_EQ(velocity(*model::make_model(options, 1), four_rows()).abs().max().item<float>(), 0.0f);
  }
}

TEST(Start, IsKeyedBySeedAndName) {
  const auto first = model::make_model(tests::tiny_transformer(), 1);
  model::ModelOptions deeper = tests::tiny_transformer();
  deeper.depth = 3;
  const auto second = model::make_model(deeper, 1), third = model::make_model(deeper, 2);
  EXPECT_TRUE(first->parameters()[0].tensor.equal(second->parameters()[0].tensor));
  EXPECT_FALSE(third->parameters()[0].tensor.equal(second->parameters()[0].tensor));
}

TEST(Start, FollowsTheOriginalsLaws) {
  model::ModelOptions options = tests::tiny_transformer();
  options.hidden = 256;
  const auto network = model::make_model(options, 1);
  for (const model::NamedTensor& parameter : network->parameters()) {
    const double deviation = std::sqrt(parameter.tensor.square().mean().item<double>());
    if (parameter.name == "blocks.0.attn.proj.weight") {                 // Xavier: variance 2 / (in + out)
      EXPECT_NEAR(deviation, std::sqrt(2.0 / 512.0), 0.01 * deviation);  // 65,536 draws: 0.2 % is one deviation
    } else if (parameter.name == "t_embedder.mlp.2.weight") {
      EXPECT_NEAR(deviation, 0.02, 0.0003);
    } else if (parameter.name == "final_layer.linear.weight") {
      EXPECT_EQ(deviation, 0.0);
    }
  }
}

}  // namespace
}  // namespace pathline

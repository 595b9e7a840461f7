// SPDX-License-Identifier: Apache-2.0
// The parameter gate: no network reads a parameter before the gate has let it go.
#include <gtest/gtest.h>

#include <ATen/core/grad_mode.h>

#include <limits>

#include "tests/model/support.h"

namespace pathline {
namespace {

model::ModelOptions points() {
  model::ModelOptions options;
  options.name = "MLP";
  options.input_channels = 3;
  options.classes = 4;
  options.hidden = 16;
  options.depth = 2;
  return options;
}

model::ModelOptions unconditional_transformer() {
  model::ModelOptions options = tests::tiny_transformer();
  options.classes = 0;
  return options;
}

/// A U-Net with every kind of stage.
model::ModelOptions full_unet() {
  model::ModelOptions options = tests::tiny_unet();
  options.attention = {8, 4};
  options.resblock_updown = true;
  return options;
}

tests::Inputs inputs_of(const model::ModelOptions& options) {
  tests::Inputs inputs = tests::four_rows();
  if (options.input_size == 0) inputs.x = tests::noise({4, options.input_channels}, 1);
  if (options.classes == 0) inputs.condition.labels = at::Tensor();
  return inputs;
}

at::Tensor velocity(model::VelocityModel& network) {
  const at::NoGradGuard no_grad;
  const tests::Inputs inputs = inputs_of(network.options());
  return network.velocity(inputs.x, inputs.t, inputs.condition);
}

class ParameterGate : public testing::TestWithParam<model::ModelOptions> {
 protected:
  ParameterGate() : network_(model::make_model(GetParam(), 1)) { tests::set_formula_weights(*network_); }

  std::unique_ptr<model::VelocityModel> network_;
};
INSTANTIATE_TEST_SUITE_P(, ParameterGate,
                         testing::Values(tests::tiny_transformer(), unconditional_transformer(), tests::tiny_unet(),
                                         full_unet(), points(), tests::tiny_mm_dit()),
                         [](const auto& info) { return info.param.name + std::to_string(info.index); });

TEST_P(ParameterGate, OpensBeforeAParameterIsRead) {
  const at::Tensor open = velocity(*network_);
  const auto& parameters = network_->parameters();
  std::vector<at::Tensor> values;
  for (const model::NamedTensor& parameter : parameters) {
    values.push_back(parameter.tensor.detach().clone());
    parameter.tensor.detach().fill_(std::numeric_limits<float>::quiet_NaN());
  }
  std::size_t released = 0;
  network_->set_parameter_gate([&](std::size_t count) {
    for (; released < count; ++released) parameters[released].tensor.detach().copy_(values[released]);
  });
  EXPECT_TRUE(open.equal(velocity(*network_)));
  EXPECT_EQ(released, parameters.size());
}

TEST_P(ParameterGate, IsPassedGroupByGroup) {
  std::vector<std::size_t> counts;
  network_->set_parameter_gate([&](std::size_t count) { counts.push_back(count); });
  velocity(*network_);
  for (std::size_t i = 1; i < counts.size(); ++i) EXPECT_LT(counts[i - 1], counts[i]);
  EXPECT_LE(counts.front(), 8u);  // the first layers do not wait for the last
  EXPECT_EQ(counts.back(), network_->parameters().size());
}

}  // namespace
}  // namespace pathline

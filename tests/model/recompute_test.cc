// SPDX-License-Identifier: Apache-2.0
// Activation checkpointing changes memory, not one bit of a gradient.
#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/sigmoid.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <map>

#include "core/error.h"
#include "model/recompute.h"
#include "tests/model/support.h"

namespace pathline {
namespace {

struct Case {
  const char* name;
  bool unet;
  at::ScalarType type;
  bool lightning = false;
};

model::ModelOptions options_of(bool unet, bool lightning) {
  model::ModelOptions options = tests::tiny_transformer();
  options.depth = 3;
  if (lightning) {
    options.norm = "rms";
    options.feed_forward = "swiglu";
    options.rope = options.qk_norm = true;
  }
  if (unet) {  // every kind of layer, and dropout
    options = tests::tiny_unet();
    options.blocks = 2;
    options.attention = {8, 4};
    options.resblock_updown = true;
    options.scale_shift_norm = true;
    options.dropout = 0.25;
  }
  return options;
}

std::unique_ptr<model::VelocityModel> network_of(const Case& test) {
  auto network = model::make_model(options_of(test.unet, test.lightning), 1);
  tests::set_formula_weights(*network);
  for (const model::NamedTensor& parameter : network->parameters()) {
    at::Tensor tensor = parameter.tensor;
    tensor.set_data(tensor.detach().to(test.type));
  }
  network->set_training(true);
  return network;
}

at::Tensor loss_of(model::VelocityModel& network) {
  const tests::Inputs inputs = tests::four_rows();
  return network.velocity(inputs.x, inputs.t, inputs.condition).square().sum();
}

/// The loss, then every parameter's gradient after two backward passes into the same .grad.
std::vector<at::Tensor> results(const Case& test, std::int64_t every) {
  const auto network = network_of(test);
  network->set_activation_checkpointing(every);
  std::vector<at::Tensor> tensors = {loss_of(*network).detach()};
  for (int pass = 0; pass < 2; ++pass) loss_of(*network).backward();
  for (const model::NamedTensor& parameter : network->parameters()) tensors.push_back(parameter.tensor.grad());
  return tensors;
}

class ActivationCheckpointing : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(, ActivationCheckpointing,
                         testing::Values(Case{"TransformerFp32", false, at::kFloat},
                                         Case{"TransformerBf16", false, at::kBFloat16},
                                         Case{"LightningFp32", false, at::kFloat, true},
                                         Case{"LightningBf16", false, at::kBFloat16, true},
                                         Case{"UnetFp32", true, at::kFloat}, Case{"UnetBf16", true, at::kBFloat16}),
                         [](const auto& info) { return info.param.name; });

TEST_P(ActivationCheckpointing, ChangesNoBit) {
  const std::vector<at::Tensor> plain = results(GetParam(), 0);
  for (const std::int64_t every : {1, 2}) {
    const std::vector<at::Tensor> again = results(GetParam(), every);
    for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(plain[i].equal(again[i])) << every << ": tensor " << i;
  }
}

// What the training engine builds on: it takes a gradient when its accumulation is done.
TEST_P(ActivationCheckpointing, AccumulatesIntoEachParameterOnce) {
  const auto network = network_of(GetParam());
  network->set_activation_checkpointing(1);
  std::map<std::string, int> accumulated;
  std::vector<c10::intrusive_ptr<torch::autograd::Node>> accumulators;
  for (const model::NamedTensor& parameter : network->parameters()) {
    accumulators.push_back(torch::autograd::impl::grad_accumulator(parameter.tensor));
    struct Count : torch::autograd::FunctionPostHook {
      explicit Count(int& to) : count(to) {}
      torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs,
                                                const torch::autograd::variable_list&) override {
        ++count;
        return outputs;
      }
      int& count;
    };
    accumulators.back()->add_post_hook(std::make_unique<Count>(accumulated[parameter.name]));
  }
  loss_of(*network).backward();
  for (const auto& [name, count] : accumulated) EXPECT_EQ(count, 1) << name;
}

TEST_P(ActivationCheckpointing, DoesNotPassTheParameterGateAgain) {
  const auto network = network_of(GetParam());
  network->set_activation_checkpointing(1);
  std::size_t released = 0;
  network->set_parameter_gate([&](std::size_t count) { released = count; });
  const at::Tensor loss = loss_of(*network);
  EXPECT_EQ(released, network->parameters().size());
  released = 0;
  loss.backward();
  EXPECT_EQ(released, 0u);
}

/// sigmoid(w x)^2, which notes how often it ran and its first intermediate result.
struct Watched {
  at::Tensor weight = tests::noise({8}, 1).set_requires_grad(true), x = tests::noise({8}, 2).set_requires_grad(true);
  int runs = 0;
  c10::weak_intrusive_ptr<at::TensorImpl> inner{c10::intrusive_ptr<at::TensorImpl>()};

  at::Tensor operator()() {
    const auto block = [this](at::TensorList in) {
      ++runs;
      const at::Tensor h = at::sigmoid(in[0] * weight);
      inner = c10::weak_intrusive_ptr<at::TensorImpl>(h.getIntrusivePtr());
      return h.square();
    };
    return model::recomputed(block, {x}, {weight});
  }
};

TEST(RecomputedBlock, KeepsNoActivationAndRunsAgainForItsGradients) {
  Watched block;
  const at::Tensor out = block();
  EXPECT_TRUE(block.inner.expired());
  EXPECT_EQ(block.runs, 1);
  out.sum().backward();
  EXPECT_EQ(block.runs, 2);
  const at::Tensor h = at::sigmoid(block.x * block.weight).detach();
  const at::Tensor slope = h.square() * (1.0 - h) * 2.0;  // d h^2 / d (w x)
  EXPECT_TRUE(block.weight.grad().allclose(slope * block.x.detach()));
  EXPECT_TRUE(block.x.grad().allclose(slope * block.weight.detach()));
}

TEST(RecomputedBlock, IsThePlainBlockWhereNothingIsRecorded) {
  Watched block;
  const at::NoGradGuard no_grad;
  EXPECT_FALSE(block().requires_grad());
  EXPECT_EQ(block.runs, 1);
}

TEST(ActivationCheckpointingOption, IsNoneAllOrEveryNth) {
  EXPECT_EQ(model::parse_activation_checkpointing("none"), 0);
  EXPECT_EQ(model::parse_activation_checkpointing("all"), 1);
  EXPECT_EQ(model::parse_activation_checkpointing("every:3"), 3);
  for (const char* text : {"", "some", "every", "every:", "every:0", "every:-1", "every:2x", "every:99999999999"}) {
    EXPECT_THROW(model::parse_activation_checkpointing(text), core::Error) << text;
  }
}

TEST(ActivationCheckpointingOption, IsRefusedWhereThereAreNoBlocks) {
  model::ModelOptions options;
  options.name = "MLP";
  options.input_channels = 2;
  options.classes = 0;
  const auto network = model::make_model(options, 1);
  network->set_activation_checkpointing(0);
  EXPECT_THROW(network->set_activation_checkpointing(1), core::Error);
}

}  // namespace
}  // namespace pathline

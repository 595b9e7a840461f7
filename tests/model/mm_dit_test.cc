// SPDX-License-Identifier: Apache-2.0
// MM-DiT: published names, shapes and sizes, gradients, and what it refuses. Its numbers: golden_test.cc.
#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <fstream>
#include <map>
#include <sstream>

#include "core/error.h"
#include "model/flops.h"
#include "model/option_checks.h"
#include "tests/model/support.h"

namespace pathline {
namespace {

using Shapes = std::map<std::string, std::vector<std::int64_t>>;

model::ModelOptions tiny(bool qk_norm) {
  model::ModelOptions options = tests::tiny_mm_dit();
  options.qk_norm = qk_norm;
  return options;
}

/// What scripts/model_parity.py --golden wrote of the original's state_dict().
Shapes published(const std::string& name) {
  std::ifstream file(std::string(PATHLINE_GOLDEN) + "/" + name + ".shapes");
  Shapes shapes;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string tensor;
    words >> tensor;
    for (std::int64_t size = 0; words >> size;) shapes[tensor].push_back(size);
  }
  return shapes;
}

TEST(MmDit, HasThePublishedNamesAndShapes) {
  for (const bool qk_norm : {false, true}) {
    const auto network = model::make_model(tiny(qk_norm), 1);
    Shapes ours;
    for (const auto* list : {&network->parameters(), &network->buffers()}) {
      for (const model::NamedTensor& each : *list) ours[each.name] = each.tensor.sizes().vec();
    }
    EXPECT_EQ(ours, published(qk_norm ? "mm_dit_qk_norm" : "mm_dit"));
    EXPECT_GT(ours.size(), 50u);
  }
}

model::ModelOptions stable_diffusion(int depth) {
  model::ModelOptions options;
  options.name = "MMDiT-" + std::to_string(depth);
  options = model::with_named_fields(options);
  options.input_size = 128;
  options.input_channels = 16;
  options.classes = 0;
  options.text_tokens = 154;
  options.text_width = 4096;
  options.text_pooled = 2048;
  return options;
}

// Sizes of the family in billions, counted from the published hyperparameters; 24 is Stable Diffusion 3 medium ("2B"),
// 38 the largest ("8B") of Esser et al., arXiv 2403.03206.
TEST(MmDit, HasThePublishedSizes) {
  const std::pair<int, double> sizes[] = {{15, 0.496}, {18, 0.856}, {21, 1.359}, {24, 2.028}, {30, 3.962}, {38, 8.057}};
  for (const auto& [depth, billions] : sizes) {
    double count = 0;
    for (const model::ParameterShape& parameter : model::parameter_table(stable_diffusion(depth))) {
      double elements = 1;
      for (const std::int64_t size : parameter.shape) elements *= static_cast<double>(size);
      count += elements;
    }
    EXPECT_NEAR(count / 1e9, billions, 0.0005) << depth;
  }
}

// Counted with torch 2.13's FlopCounterMode (attention by plain products) over one forward pass of one sample.
TEST(MmDit, TakesTheOperationsThatTorchCountsInTheOriginal) {
  EXPECT_EQ(model::forward_flops(tiny(false)).total(), 16478208);
  model::ModelOptions options = tiny(false);
  options.input_size = 32;
  options.input_channels = 16;
  options.depth = options.heads = 4;
  options.hidden = 256;
  options.text_tokens = 77;
  options.text_width = 96;
  options.text_pooled = 80;
  options.pos_embed_max_size = 24;
  EXPECT_EQ(model::forward_flops(options).total(), 2485448704);
}

struct Case {
  const char* name;
  bool qk_norm;
  at::ScalarType type;
};

/// The velocity, then every parameter's gradient of a fixed linear functional of it.
std::vector<at::Tensor> results(const Case& test, std::int64_t checkpointing) {
  const auto network = model::make_model(tiny(test.qk_norm), 1);
  tests::set_formula_weights(*network);
  for (const model::NamedTensor& parameter : network->parameters()) {
    at::Tensor tensor = parameter.tensor;
    // A third: with the formula's own numbers scores are so large that attention picks one token, where rounding
    // decides.
    tensor.set_data((tensor.detach() / 3.0).to(test.type));
  }
  network->set_training(true);
  network->set_activation_checkpointing(checkpointing);
  const tests::Inputs inputs = tests::four_rows();
  const at::Tensor v = network->velocity(inputs.x, inputs.t, inputs.condition);
  (v * tests::noise(v.sizes().vec(), 99)).sum().backward();
  std::vector<at::Tensor> tensors = {v.detach()};
  for (const model::NamedTensor& parameter : network->parameters()) tensors.push_back(parameter.tensor.grad());
  return tensors;
}

class MmDitGradients : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(, MmDitGradients,
                         testing::Values(Case{"Fp32", false, at::kFloat}, Case{"Fp32QkNorm", true, at::kFloat},
                                         Case{"Bf16", false, at::kBFloat16}, Case{"Bf16QkNorm", true, at::kBFloat16}),
                         [](const auto& info) { return info.param.name; });

// In double precision nothing is fused: plain ATen with autograd's own gradients.
TEST_P(MmDitGradients, AreThoseOfPlainAutograd) {
  const Case test = GetParam();
  const std::vector<at::Tensor> ours = results(test, 0), exact = results({"", test.qk_norm, at::kDouble}, 0);
  // fp32 rounds to 6e-8 and bf16 to 2e-3 of a number; errors add up over two blocks and are compared with the largest
  // number of the tensor.
  const double bound = test.type == at::kFloat ? 1e-5 : 0.05;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const auto largest = exact[i].abs().max().item<double>();  // 0 for queries of the last block's text: nobody asks
    EXPECT_LE((ours[i].to(at::kDouble) - exact[i]).abs().max().item<double>(), bound * largest) << i << ": " << largest;
  }
}

TEST_P(MmDitGradients, StayBitForBitWhereBlocksAreComputedAgain) {
  const std::vector<at::Tensor> plain = results(GetParam(), 0);
  for (const std::int64_t every : {1, 2}) {
    const std::vector<at::Tensor> again = results(GetParam(), every);
    for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(plain[i].equal(again[i])) << every << ": tensor " << i;
  }
}

TEST(MmDit, IsFedByTextAlone) {
  const auto network = model::make_model(tests::tiny_mm_dit(), 1);
  tests::set_formula_weights(*network);
  const at::NoGradGuard no_grad;
  tests::Inputs inputs = tests::four_rows();
  const at::Tensor v = network->velocity(inputs.x, inputs.t, inputs.condition);
  inputs.condition.text = inputs.condition.text.flip(1);  // attention is blind to the order of the text's tokens
  EXPECT_LT((v - network->velocity(inputs.x, inputs.t, inputs.condition)).abs().max().item<float>(), 1e-4f);
  inputs.condition.text = inputs.condition.text * 2.0;
  EXPECT_GT((v - network->velocity(inputs.x, inputs.t, inputs.condition)).abs().max().item<float>(), 0.01f);
  inputs.condition.text = tests::noise({4, 5, 23}, 2);
  EXPECT_THROW(network->velocity(inputs.x, inputs.t, inputs.condition), core::Error);
  inputs.condition.text = at::Tensor();
  EXPECT_THROW(network->velocity(inputs.x, inputs.t, inputs.condition), core::Error);
}

TEST(MmDit, RefusesOptionsThatMakeNone) {
  const auto refused = [](auto change) {
    model::ModelOptions options = tests::tiny_mm_dit();
    change(options);
    EXPECT_THROW(model::check_options(options), core::Error);
  };
  refused([](auto& o) { o.classes = 10; });
  refused([](auto& o) { o.text_width = 0; });
  refused([](auto& o) { o.text_pooled = 0; });
  refused([](auto& o) { o.pos_embed_max_size = 3; });
  refused([](auto& o) { o.name = "MMDiT-15"; });
  refused([](auto& o) { o.name = "SiT"; });
}

}  // namespace
}  // namespace pathline

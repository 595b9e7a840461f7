// SPDX-License-Identifier: Apache-2.0
// Networks that are shown what is known of a sample, and networks that start from others which knew less.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/error.h"
#include "model/velocity_model.h"
#include "model/weights.h"
#include "tests/model/support.h"

namespace pathline {
namespace {

model::ModelOptions tiny_mlp() {
  model::ModelOptions options;
  options.name = "MLP";
  options.input_channels = 3;
  options.classes = 4;
  options.hidden = 16;
  options.depth = 2;
  return options;
}

std::vector<model::ModelOptions> every_kind() { return {tests::tiny_transformer(), tests::tiny_unet(), tiny_mlp()}; }

std::vector<std::int64_t> batch_of(const model::ModelOptions& options, std::int64_t channels) {
  if (options.input_size == 0) return {4, channels};
  return {4, channels, options.input_size, options.input_size};
}

/// Rows of noise whose condition knows about half of the numbers.
tests::Inputs half_known(const model::ModelOptions& options) {
  tests::Inputs inputs = tests::four_rows();
  inputs.x = tests::noise(batch_of(options, 3), 1);
  const at::Tensor mask = (tests::noise(batch_of(options, options.input_size == 0 ? 3 : 1), 2) > 0).to(at::kFloat);
  inputs.condition.known = at::cat({tests::noise(batch_of(options, 3), 3) * mask, mask}, 1);
  return inputs;
}

at::Tensor mask_of(const tests::Inputs& inputs) {
  const at::Tensor& known = inputs.condition.known;
  return known.narrow(1, 3, known.size(1) - 3);
}

TEST(InpaintingNetwork, LeavesWhatIsKnownAndHeedsIt) {
  const at::NoGradGuard no_grad;
  for (model::ModelOptions options : every_kind()) {
    options.inpaint = true;
    const auto network = model::make_model(options, 1);
    tests::set_formula_weights(*network);
    tests::Inputs inputs = half_known(options);
    const at::Tensor v = network->velocity(inputs.x, inputs.t, inputs.condition);
    ASSERT_EQ(v.sizes(), inputs.x.sizes()) << options.name;
    const at::Tensor mask = mask_of(inputs);
    EXPECT_EQ((v * mask).abs().max().item<float>(), 0.0f) << options.name;
    EXPECT_GT((v * (1 - mask)).abs().max().item<float>(), 0.0f) << options.name;
    inputs.condition.known.narrow(1, 0, 3).mul_(2);
    EXPECT_FALSE(at::equal(v, network->velocity(inputs.x, inputs.t, inputs.condition))) << options.name;
    inputs.condition.known = at::Tensor();
    EXPECT_THROW(network->velocity(inputs.x, inputs.t, inputs.condition), core::Error) << options.name;
  }
}

std::vector<model::StoredTensor> tensors_of(const model::Module& network) {
  std::vector<model::StoredTensor> all;
  for (const model::NamedTensor& each : network.parameters()) {
    all.push_back({each.name, each.tensor.sizes().vec(), [tensor = each.tensor] { return tensor; }});
  }
  return all;
}

/// The same network with other options, from the first one's weights.
std::unique_ptr<model::VelocityModel> grown(const model::Module& from, const model::ModelOptions& options) {
  auto network = model::make_model(options, 2);
  model::load_tensors(tensors_of(from), "the other", *network, model::MissingWeights::kZero);
  return network;
}

/// Sums over more columns, of which the new ones are zero, may be taken in another order.
bool nearly(const at::Tensor& a, const at::Tensor& b) { return at::allclose(a, b, 1e-5, 1e-5); }

TEST(InpaintingNetwork, StartsFromAPlainOneAsThat) {
  const at::NoGradGuard no_grad;
  for (model::ModelOptions options : every_kind()) {
    const auto plain = model::make_model(options, 1);
    tests::set_formula_weights(*plain);
    options.inpaint = true;
    const tests::Inputs inputs = half_known(options);
    const at::Tensor v = grown(*plain, options)->velocity(inputs.x, inputs.t, inputs.condition);
    const at::Tensor expected = plain->velocity(inputs.x, inputs.t, inputs.condition) * (1 - mask_of(inputs));
    EXPECT_TRUE(nearly(v, expected)) << options.name;
  }
}

/// Fine-tuning an unconditional model with labels (classifier-free guidance): at first no label means anything.
TEST(ConditionalNetwork, StartsFromAnUnconditionalOneAsThatForEveryLabel) {
  const at::NoGradGuard no_grad;
  for (model::ModelOptions options : every_kind()) {
    const std::int64_t classes = options.classes;
    options.classes = 0;
    const auto plain = model::make_model(options, 1);
    tests::set_formula_weights(*plain);
    options.classes = classes;
    options.null_row = true;
    const auto conditional = grown(*plain, options);
    tests::Inputs inputs = half_known(options);
    const at::Tensor expected = plain->velocity(inputs.x, inputs.t, {});
    for (std::int64_t label = 0; label <= classes; ++label) {
      inputs.condition.labels = at::full({4}, label, at::kLong);
      const at::Tensor v = conditional->velocity(inputs.x, inputs.t, inputs.condition);
      const bool same = options.name == "MLP" ? nearly(v, expected) : at::equal(v, expected);
      EXPECT_TRUE(same) << options.name << ", label " << label;
    }
  }
}

TEST(ConditionalNetwork, DoesNotStartFromAnMlpOfOtherPoints) {
  model::ModelOptions options = tiny_mlp();
  options.input_channels = 2;
  options.classes = 0;
  const auto smaller = model::make_model(options, 1);
  EXPECT_THROW(grown(*smaller, tiny_mlp()), core::Error);
}

}  // namespace
}  // namespace pathline

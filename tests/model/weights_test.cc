// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "core/safetensors.h"
#include "model/weights.h"
#include "tests/model/support.h"
#include "tests/support/temporary_directory.h"

namespace pathline {
namespace {

using model::MissingWeights;
using ::testing::HasSubstr;

at::Tensor parameter(const model::VelocityModel& network, const std::string& name) {
  for (const model::NamedTensor& each : network.parameters()) {
    if (each.name == name) return each.tensor.detach();
  }
  ADD_FAILURE() << "no parameter " << name;
  return {};
}

class Weights : public testing::Test {
 protected:
  std::unique_ptr<model::VelocityModel> saved(const model::ModelOptions& options) {
    auto network = model::make_model(options, 1);
    tests::set_formula_weights(*network);
    model::save_weights(files_, path_, *network);
    return network;
  }

  std::string refusal(const model::ModelOptions& options, MissingWeights missing) {
    const auto network = model::make_model(options, 2);
    try {
      model::load_weights(files_, path_, *network, missing);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kUsage);
      return error.what();
    }
    ADD_FAILURE() << "accepted";
    return "";
  }

  core::PosixFileSystem files_;
  tests::TemporaryDirectory directory_;
  std::string path_ = directory_ / "w.safetensors";
};

TEST_F(Weights, ComeBackAsTheyWereSaved) {
  const auto first = saved(tests::tiny_transformer());
  const auto second = model::make_model(tests::tiny_transformer(), 2);
  model::load_weights(files_, path_, *second, MissingWeights::kError);
  for (std::size_t i = 0; i < first->parameters().size(); ++i) {
    EXPECT_TRUE(first->parameters()[i].tensor.equal(second->parameters()[i].tensor)) << first->parameters()[i].name;
  }
}

TEST_F(Weights, SayWhichModelTheyAreOf) {
  saved(tests::tiny_transformer());
  const core::SafetensorsHeader header = core::read_safetensors_header(files_, path_);
  EXPECT_EQ(header.metadata.at("format"), "pt");
  core::Config recipe = core::Config::from_text(header.metadata.at("pathline_model"), path_);
  model::ModelOptions options;
  model::bind(recipe, options);
  EXPECT_EQ(options.hidden, 32);
  EXPECT_EQ(options.classes, 4);
}

TEST_F(Weights, OfHalfPrecisionAreWidened) {
  const auto network = model::make_model(tests::tiny_transformer(), 1);
  tests::set_formula_weights(*network);
  std::vector<at::Tensor> halves;
  std::vector<core::TensorBytes> bytes;
  for (const model::NamedTensor& each : network->parameters()) {
    const bool even = halves.size() % 2 == 0;
    halves.push_back(each.tensor.detach().to(even ? at::kHalf : at::kBFloat16));
    bytes.push_back({each.name,
                     even ? "F16" : "BF16",
                     halves.back().sizes().vec(),
                     {static_cast<const std::byte*>(halves.back().const_data_ptr()), halves.back().nbytes()}});
  }
  const auto file = files_.create(path_);
  core::write_safetensors(*file, bytes, {});
  file->close();
  model::load_weights(files_, path_, *network, MissingWeights::kError);  // pos_embed may be missing: it is computed
  for (std::size_t i = 0; i < halves.size(); ++i) {
    EXPECT_TRUE(network->parameters()[i].tensor.detach().equal(halves[i].to(at::kFloat)));
  }
}

TEST_F(Weights, OfAnotherModelAreRefusedByName) {
  saved(tests::tiny_transformer());
  model::ModelOptions deeper = tests::tiny_transformer();
  deeper.depth = 3;
  EXPECT_THAT(refusal(deeper, MissingWeights::kZero), HasSubstr("missing: blocks.2.adaLN_modulation.1.weight"));
  model::ModelOptions shallow = tests::tiny_transformer();
  shallow.depth = 1;
  EXPECT_THAT(refusal(shallow, MissingWeights::kError), HasSubstr("not of this model: blocks.1."));
  model::ModelOptions wider = tests::tiny_transformer();
  wider.mlp_ratio = 2;
  EXPECT_THAT(refusal(wider, MissingWeights::kZero),
              HasSubstr("blocks.0.mlp.fc1.weight [128, 32] instead of [64, 32]"));
  model::ModelOptions more = tests::tiny_transformer();
  more.classes = 6;
  EXPECT_THAT(refusal(more, MissingWeights::kError), HasSubstr("y_embedder.embedding_table.weight"));
}

TEST_F(Weights, OfFewerClassesKeepTheNullRowLast) {
  const at::Tensor old = parameter(*saved(tests::tiny_transformer()), "y_embedder.embedding_table.weight");
  model::ModelOptions more = tests::tiny_transformer();
  more.classes = 6;
  const auto network = model::make_model(more, 2);
  model::load_weights(files_, path_, *network, MissingWeights::kZero);
  const at::Tensor table = parameter(*network, "y_embedder.embedding_table.weight");
  EXPECT_TRUE(table.narrow(0, 0, 4).equal(old.narrow(0, 0, 4)));
  EXPECT_EQ(table.narrow(0, 4, 2).abs().max().item<float>(), 0.0f);
  EXPECT_TRUE(table[6].equal(old[4]));
}

TEST_F(Weights, OfAnUnconditionalModelGetAZeroLabelTable) {
  model::ModelOptions plain = tests::tiny_transformer();
  plain.classes = 0;
  saved(plain);
  const auto network = model::make_model(tests::tiny_transformer(), 2);
  model::load_weights(files_, path_, *network, MissingWeights::kZero);
  EXPECT_EQ(parameter(*network, "y_embedder.embedding_table.weight").abs().max().item<float>(), 0.0f);
}

TEST_F(Weights, OfFewerChannelsStartTheNewOnesAtZero) {
  for (model::ModelOptions options : {tests::tiny_unet(), tests::tiny_transformer()}) {
    options.learn_sigma = true;
    const auto old = saved(options);
    options.input_channels = 4;
    const auto network = model::make_model(options, 2);
    model::load_weights(files_, path_, *network, MissingWeights::kZero);
    const at::NoGradGuard no_grad;
    at::Tensor x = at::ones({2, 4, 8, 8});
    model::Condition condition;
    condition.labels = at::zeros({2}, at::kLong);
    const at::Tensor t = tests::times_of({0.2f, 0.7f});
    const at::Tensor wide = network->velocity(x, t, condition);
    const at::Tensor narrow = old->velocity(x.narrow(1, 0, 3), t, condition);
    EXPECT_TRUE(wide.narrow(1, 0, 3).allclose(narrow, 1e-5, 1e-6));  // sums over more channels: another order
    EXPECT_EQ(wide.narrow(1, 3, 1).abs().max().item<float>(), 0.0f);
  }
}

}  // namespace
}  // namespace pathline

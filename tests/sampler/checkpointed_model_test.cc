// SPDX-License-Identifier: Apache-2.0
#include "sampler/checkpointed_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <map>

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/random.h"
#include "sampler/generate.h"
#include "tests/support/temporary_directory.h"

namespace pathline::sampler {
namespace {

constexpr char kRecipe[] = R"([model]
name = "DiT"
input_size = 8
input_channels = 3
classes = 4
patch = 4
hidden = 32
depth = 1
heads = 2

[train]
some_key = "of another folder"

[ema]
decays = [0.9, 0.99]
)";

std::unique_ptr<model::VelocityModel> network(std::uint64_t seed) {
  core::Config recipe = core::Config::from_text(kRecipe, "recipe");
  model::ModelOptions options;
  model::bind(recipe, options);
  auto made = model::make_model(options, seed);
  // weights that a new network has at zero must differ, too
  for (const model::NamedTensor& named : made->parameters()) {
    const at::NoGradGuard no_grad;
    const auto id = static_cast<std::int64_t>(core::hash_name(named.name) >> 1);
    named.tensor.copy_(0.1 * start_noise(seed, id, named.tensor.sizes()));
  }
  return made;
}

/// A checkpoint whose kinds are networks of different seeds.
void save(const std::string& directory, const std::map<std::string, const model::VelocityModel*>& kinds) {
  checkpoint::State state;
  state.step = 12;
  state.recipe = kRecipe;
  std::vector<checkpoint::TensorRecord> records;
  std::vector<checkpoint::SegmentBytes> segments;
  const auto add = [&](const std::string& kind, const model::NamedTensor& named) {
    const auto count = static_cast<std::size_t>(named.tensor.numel());
    records.push_back({kind, named.name, named.tensor.sizes().vec()});
    const std::span<const float> values(named.tensor.const_data_ptr<float>(), count);
    segments.push_back({kind, named.name, 0, count, std::as_bytes(values)});
  };
  for (const auto& [kind, model] : kinds) {
    for (const model::NamedTensor& named : model->parameters()) add(kind, named);
  }
  for (const model::NamedTensor& named : kinds.begin()->second->buffers()) add("buffer", named);
  core::PosixFileSystem files;
  checkpoint::save(files, directory, state, records, segments, 1, {});
}

class CheckpointedModelTest : public testing::Test {
 protected:
  void SetUp() override {
    save(directory_ / "checkpoints", {{"master", raw_.get()}, {"ema-0.9", first_.get()}, {"ema-0.99", second_.get()}});
  }

  static bool same(const model::Module& a, const model::Module& b) {
    for (std::size_t i = 0; i < a.parameters().size(); ++i) {
      if (!at::equal(a.parameters()[i].tensor, b.parameters()[i].tensor)) return false;
    }
    return a.parameters().size() == b.parameters().size();
  }

  const tests::TemporaryDirectory directory_;
  const std::unique_ptr<model::VelocityModel> raw_ = network(1), first_ = network(2), second_ = network(3);
  core::PosixFileSystem files_;
};

TEST_F(CheckpointedModelTest, LoadsTheWeightsThatWereAskedFor) {
  const CheckpointedModel by_default = load_checkpointed_model(files_, directory_.path(), "");
  EXPECT_TRUE(same(*by_default.model, *first_));
  EXPECT_EQ(by_default.kind, "ema-0.9");
  EXPECT_EQ(by_default.step, 12u);
  EXPECT_TRUE(same(*load_checkpointed_model(files_, directory_ / "checkpoints", "0.990").model, *second_));
  EXPECT_TRUE(same(*load_checkpointed_model(files_, by_default.directory, "none").model, *raw_));
}

TEST_F(CheckpointedModelTest, VelocityIsThatOfTheSavedNetwork) {
  const CheckpointedModel loaded = load_checkpointed_model(files_, directory_.path(), "none");
  EXPECT_EQ(sample_shape_of(loaded.model->options()), (std::vector<std::int64_t>{3, 8, 8}));
  EXPECT_EQ(null_label_of(loaded.model->options()), 4);
  Job job;
  job.sample_shape = {3, 8, 8};
  job.null_label = 4;
  job.slots = 16;
  job.solver.solver = "euler";
  job.solver.steps = 2;
  raw_->set_training(false);
  std::vector<at::Tensor> expected;
  const auto label_of = [](std::int64_t id) { return id % 4; };
  generate(field_of(*raw_), job, 0, 3, label_of, [&](Sample&& sample) { expected.push_back(sample.value); });
  generate(field_of(*loaded.model), job, 0, 3, label_of, [&](Sample&& sample) {
    EXPECT_TRUE(at::equal(sample.value, expected.at(static_cast<std::size_t>(sample.id))));
  });
}

TEST_F(CheckpointedModelTest, SaysWhichAveragesThereAre) {
  try {
    load_checkpointed_model(files_, directory_.path(), "0.5");
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("0.9 and 0.99"), std::string::npos) << error.what();
  }
}

TEST_F(CheckpointedModelTest, RefusesADirectoryWithoutCheckpoints) {
  const tests::TemporaryDirectory empty;
  try {
    load_checkpointed_model(files_, empty.path(), "");
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kInput);
  }
}

}  // namespace
}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
#include "trainer/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/random.h"

namespace pathline::trainer {
namespace {

/// Two tensors of 20 and 5 elements (and padding to 32 and 48), one of 4096.
FlatLayout layout() {
  FlatLayout layout;
  const auto add = [&layout](const char* name, std::size_t offset, std::size_t elements) {
    FlatTensor& tensor = layout.tensors.emplace_back();
    tensor.name = name;
    tensor.offset = offset;
    tensor.elements = elements;
  };
  add("final_layer.linear.bias", 0, 20);
  add("blocks.0.mlp.fc1.bias", 32, 5);
  add("blocks.0.mlp.fc1.weight", 48, 4096);
  layout.elements = 2 * 4096;
  return layout;
}

OptimizerOptions options(const std::vector<std::string>& groups = {}, const std::string& name = "adamw") {
  OptimizerOptions options;
  options.name = name;
  options.lr = 0.5;
  options.weight_decay = 0.25;
  options.groups = groups;
  return options;
}

std::string refusal(const std::string& entry) {
  try {
    group_settings(options({"*: lr=1", entry}), layout());
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
    return error.what();
  }
  return "";
}

TEST(GroupSettings, AreTheRecipesUnlessAGroupSaysMore) {
  const auto settings = group_settings(options(), layout());
  EXPECT_EQ(settings, std::vector<GroupSettings>(3, {1.0, 0.25}));
}

TEST(GroupSettings, LaterEntriesWinKeyByKey) {
  const auto settings = group_settings(
      options({"*.bias: weight_decay=0, lr=2", "final_layer.*: lr = 0.1", "blocks.?.mlp.fc1.weight:weight_decay=1e-3"}),
      layout());
  EXPECT_EQ(settings[0], (GroupSettings{0.1, 0.0}));
  EXPECT_EQ(settings[1], (GroupSettings{2.0, 0.0}));
  EXPECT_EQ(settings[2], (GroupSettings{1.0, 1e-3}));
}

TEST(GroupSettings, NameTheEntryThatMatchesNothing) {
  const std::string text = refusal("pos_embed: lr=0");
  EXPECT_NE(text.find("pos_embed: lr=0"), std::string::npos);
  EXPECT_NE(text.find("final_layer.linear.bias"), std::string::npos);  // what names look like
}

TEST(GroupSettings, RefuseWhatTheyCannotRead) {
  for (const std::string entry : {"*.bias", ": lr=1", "*.bias:", "*.bias: lr", "*.bias: beta1=0.5", "*.bias: lr=fast",
                                  "*.bias: lr=-1", "*.bias: weight_decay=nan", "*.bias: lr=1;weight_decay=0"}) {
    EXPECT_NE(refusal(entry).find(entry), std::string::npos) << entry;
  }
}

TEST(Runs, AreWholeWhereNothingChanges) {
  const auto runs = runs_of(layout(), group_settings(options(), layout()), 0, 8192);
  EXPECT_EQ(runs, (std::vector<SettingsRun>{{0, 8192, {1.0, 0.25}}}));
}

TEST(Runs, GivePaddingToTheTensorBeforeIt) {
  const auto settings = group_settings(options({"*.weight: lr=3", "final_layer.*: lr=2"}), layout());
  EXPECT_EQ(runs_of(layout(), settings, 0, 8192),
            (std::vector<SettingsRun>{{0, 32, {2.0, 0.25}}, {32, 48, {1.0, 0.25}}, {48, 8192, {3.0, 0.25}}}));
  EXPECT_EQ(runs_of(layout(), settings, 40, 50),
            (std::vector<SettingsRun>{{40, 48, {1.0, 0.25}}, {48, 50, {3.0, 0.25}}}));
  EXPECT_TRUE(runs_of(layout(), settings, 4096, 4096).empty());
}

struct Shard {
  explicit Shard(std::size_t n, std::size_t state)
      : gradient(n), master(n), average(n), moments(state, std::vector<float>(n, 0.0f)), bf16(n) {
    core::Draws(5, 0, core::Purpose::kMadeData).fill_normal(gradient);
    core::Draws(5, 1, core::Purpose::kMadeData).fill_normal(master);
    average = master;
  }
  ShardArrays all() {
    ShardArrays shard{master.size(), gradient.data(), master.data(), {}, bf16.data(), {{average.data(), 0.1f}}};
    for (auto& moment : moments) shard.moments.push_back(moment.data());
    return shard;
  }
  bool operator==(const Shard&) const = default;

  std::vector<float> gradient, master, average;
  std::vector<std::vector<float>> moments;
  std::vector<std::uint16_t> bf16;
};

TEST(Optimizer, GivesTheSameBitsHoweverTheBufferIsCutIntoShards) {
  for (const char* name : {"adamw", "lion"}) {
    const OptimizerOptions recipe = options({"*.bias: weight_decay=0", "final_layer.*: lr=0.1"}, name);
    const auto optimizer = make_optimizer(recipe);
    const auto runs = runs_of(layout(), group_settings(recipe, layout()), 0, 8192);
    Shard whole(8192, optimizer->state_names().size());
    Shard cut = whole;
    for (std::int64_t step = 0; step < 3; ++step) {
      update_runs(*optimizer, step, 0.5, runs, 0, whole.all());
      const std::size_t cuts[] = {0, 7, 32, 33, 4096, 5000, 8192};
      for (std::size_t i = 0; i + 1 < std::size(cuts); ++i) {
        update_runs(*optimizer, step, 0.5, runs, cuts[i], cut.all().part(cuts[i], cuts[i + 1] - cuts[i]));
      }
    }
    EXPECT_TRUE(whole == cut) << name;
  }
}

TEST(Optimizer, AdamWMovesByTheLearningRateInItsFirstStep) {
  const auto optimizer = make_optimizer(options());
  EXPECT_EQ(optimizer->state_names(), (std::vector<std::string>{"adam_m", "adam_v"}));
  Shard shard(100, 2);
  const Shard before = shard;
  optimizer->update(0, 0.5, {.lr_factor = 0.1, .weight_decay = 0.25}, shard.all());
  for (std::size_t i = 0; i < 100; ++i) {  // corrected moments are g and g^2, so that their quotient is the sign
    const double moved = before.master[i] * (1 - 0.05 * 0.25) - std::copysign(0.05, before.gradient[i]);
    EXPECT_NEAR(shard.master[i], moved, 1e-6 + 0.05 * 1e-8 / std::abs(0.5 * before.gradient[i])) << i;
  }
}

TEST(Optimizer, LionMovesByTheLearningRateInEveryStep) {
  OptimizerOptions recipe = options({}, "lion");
  recipe.warmup_steps = 4;
  const auto optimizer = make_optimizer(recipe);
  EXPECT_EQ(optimizer->state_names(), (std::vector<std::string>{"lion_m"}));
  Shard shard(100, 1);
  for (std::int64_t step = 0; step < 6; ++step) {
    const Shard before = shard;
    optimizer->update(step, 1.0, {}, shard.all());
    const double lr = 0.5 * std::min(1.0, static_cast<double>(step + 1) / 4);  // the schedule's
    for (std::size_t i = 0; i < 100; ++i) {
      EXPECT_NEAR(shard.master[i], before.master[i] - std::copysign(lr, before.gradient[i]), 4e-7) << i;
    }
  }
}

}  // namespace
}  // namespace pathline::trainer

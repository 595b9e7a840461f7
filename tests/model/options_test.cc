// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/error.h"
#include "model/noise_schedule.h"
#include "model/time_input.h"
#include "tests/model/support.h"

namespace pathline {
namespace {

using model::ModelOptions;
using ::testing::HasSubstr;

ModelOptions named(const std::string& name, std::int64_t size, std::int64_t channels, std::int64_t classes) {
  ModelOptions options;
  options.name = name;
  options.input_size = size;
  options.input_channels = channels;
  options.classes = classes;
  return model::with_named_fields(options);
}

std::int64_t count(const ModelOptions& options) {
  std::int64_t total = 0;
  for (const model::ParameterShape& parameter : model::parameter_table(options)) {
    std::int64_t size = 1;
    for (const std::int64_t extent : parameter.shape) size *= extent;
    total += size;
  }
  return total;
}

/// The message of the usage error that `body` ends in.
template <class Body>
std::string usage_error(Body body) {
  try {
    body();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

ModelOptions bound(const std::string& recipe) {
  core::Config config = core::Config::from_text(recipe, "test");
  ModelOptions options;
  model::bind(config, options);
  return options;
}

double millions(std::int64_t count) { return std::round(static_cast<double>(count) / 1e4) / 100.0; }

TEST(NamedSizes, HaveThePublishedNumberOfParameters) {
  const auto dit = [](const std::string& name) {
    ModelOptions options = named(name, 32, 4, 1000);
    options.learn_sigma = true;
    const std::int64_t frozen = 16 * 16 * options.hidden;  // pos_embed is counted there
    return millions(count(options) + frozen);
  };
  EXPECT_EQ(dit("DiT-S/2"), 32.96);
  EXPECT_EQ(dit("DiT-B/2"), 130.51);
  EXPECT_EQ(dit("DiT-L/2"), 458.10);
  EXPECT_EQ(dit("SiT-XL/2"), 675.13);
  EXPECT_EQ(millions(count(named("UNet-cifar10", 32, 3, 0))), 35.75);
  ModelOptions adm = named("ADM-64", 64, 3, 1000);
  adm.learn_sigma = true;
  EXPECT_EQ(millions(count(adm)), 295.90);
}

// Counted in guided-diffusion and in flow_matching's examples, built with the flags of their README files.
TEST(NamedSizes, OfUnetsHaveTheOriginalsNumberOfParameters) {
  const auto adm = [](const std::string& name, std::int64_t size) {
    ModelOptions options = named(name, size, 3, 1000);
    options.learn_sigma = true;
    return millions(count(options));
  };
  EXPECT_NEAR(adm("ADM-128", 128), 421.5, 0.05);
  EXPECT_NEAR(adm("ADM-256", 256), 553.8, 0.05);
  EXPECT_NEAR(adm("ADM-512", 512), 559.0, 0.05);
  EXPECT_EQ(millions(count(named("UNet-flow-matching-cifar10", 32, 3, 0))), 55.68);
}

// The original's training log (hustvl/LightningDiT, docs/log.txt) counts its position table, too.
TEST(NamedSizes, OfLightningDitHaveThePublishedNumberOfParameters) {
  const ModelOptions options = named("LightningDiT-XL/1", 16, 32, 1000);
  EXPECT_EQ(millions(count(options) + 16 * 16 * options.hidden), 675.26);
}

TEST(ParameterTable, NamesAndShapesAreTheOriginals) {
  std::map<std::string, std::vector<std::int64_t>> table;
  for (const auto& entry : model::parameter_table(named("SiT-S/2", 32, 4, 1000))) table[entry.name] = entry.shape;
  const std::map<std::string, std::vector<std::int64_t>> some = {
      {"x_embedder.proj.weight", {384, 4, 2, 2}},          {"t_embedder.mlp.0.weight", {384, 256}},
      {"y_embedder.embedding_table.weight", {1001, 384}},  {"blocks.11.attn.qkv.bias", {1152}},
      {"blocks.0.adaLN_modulation.1.weight", {2304, 384}}, {"final_layer.linear.weight", {16, 384}}};
  for (const auto& [name, shape] : some) EXPECT_EQ(table[name], shape) << name;
  EXPECT_EQ(table.size(), 2u + 4u + 1u + 12u * 10u + 4u);
}

TEST(ParameterTable, NormsOfQueriesAndKeysStandBetweenTheirProductAndTheProjection) {
  ModelOptions options = tests::tiny_transformer();
  options.qk_norm = true;
  const auto table = model::parameter_table(options);
  const std::vector<std::string> names = {"qkv.bias",      "q_norm.weight", "q_norm.bias",
                                          "k_norm.weight", "k_norm.bias",   "proj.weight"};
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(table[10 + i].name, "blocks.0.attn." + names[i]);
  EXPECT_EQ(table[11].shape, std::vector<std::int64_t>{16});  // the width of a head
}

TEST(ParameterTable, IsInOrderOfExecution) {
  const auto table = model::parameter_table(tests::tiny_transformer());
  EXPECT_EQ(table.front().name, "x_embedder.proj.weight");
  EXPECT_EQ(table[7].name, "blocks.0.adaLN_modulation.1.weight");
  EXPECT_EQ(table.back().name, "final_layer.linear.bias");
}

TEST(ModelRecipe, FieldsOverrideWhatANameSets) {
  EXPECT_EQ(bound("[model]\nname = \"UNet-cifar10\"\n").dropout, 0.1);
  EXPECT_EQ(bound("[model]\nname = \"UNet-cifar10\"\ndropout = 0.3\n").dropout, 0.3);
  EXPECT_EQ(bound("[model]\nname = \"DiT-B/4\"\n").hidden, 768);
  EXPECT_EQ(bound("[model]\nname = \"DiT\"\nhidden = 256\nheads = 4\n").hidden, 256);
}

TEST(ModelRecipe, AnotherSizeForASizedNameIsRefused) {
  EXPECT_THAT(usage_error([] { bound("[model]\nname = \"DiT-B/4\"\nhidden = 256\n"); }), HasSubstr("name = \"DiT\""));
}

TEST(ModelRecipe, AnUnknownNameNamesTheNearest) {
  EXPECT_THAT(usage_error([] { bound("[model]\nname = \"DiT-S/3\"\n"); }), HasSubstr("DiT-S/2"));
}

TEST(ModelRecipe, FieldsThatMakeNoNetworkAreRefused) {
  const auto refusal = [](auto change) {
    ModelOptions options = tests::tiny_transformer();
    change(options);
    return usage_error([&] { model::make_model(options, 1); });
  };
  EXPECT_THAT(refusal([](auto& o) { o.heads = 3; }), HasSubstr("model.heads = 3"));
  EXPECT_THAT(refusal([](auto& o) { o.patch = 3; }), HasSubstr("model.patch = 3"));
  EXPECT_THAT(refusal([](auto& o) { o.classes = -1; }), HasSubstr("model.classes is -1"));
  EXPECT_THAT(refusal([](auto& o) { o.time_input = "flown"; }), HasSubstr("\"flow\"?"));
  EXPECT_THAT(refusal([](auto& o) {
                o = tests::tiny_unet();
                o.channels = 40;
              }),
              HasSubstr("model.channels = 40"));
  EXPECT_THAT(refusal([](auto& o) {
                o = tests::tiny_unet();
                o.qk_norm = true;
              }),
              HasSubstr("model.qk_norm"));
}

TEST(ModelRecipe, ASectionWrittenOutReadsBackTheSame) {
  const ModelOptions options = tests::tiny_unet();
  EXPECT_EQ(model::model_toml(bound(model::model_toml(options))), model::model_toml(options));
}

TEST(TimeInput, MapsFlowTimeToTheNetworksOwn) {
  at::Tensor t = tests::times_of({0.25f, 1.0f});
  const auto at_first = [&](const char* name) {
    return model::network_time(model::parse_time_input(name), t)[0].item<float>();
  };
  EXPECT_EQ(at_first("flow"), 0.25f);
  EXPECT_EQ(at_first("flow-reversed"), 0.75f);
  EXPECT_EQ(at_first("x1000"), 750.0f);
}

TEST(TimeInput, DdpmIndexHasTheSameSignalToNoiseRatio) {
  // Published end of the linear schedule: sqrt(alpha_bar_999) = 0.00635 (alpha_bar = 4.04e-5).
  EXPECT_NEAR(model::alpha_bars("ddpm-linear").back(), 4.0358e-5, 1e-8);
  for (const char* name : {"ddpm999", "ddpm999-cosine"}) {
    const model::TimeInput input = model::parse_time_input(name);
    const std::vector<double> table = model::alpha_bars(model::schedule_of(name));
    for (const int k : {1, 250, 998}) {
      const double ratio = std::sqrt(table[k] / (1 - table[k]));  // signal over noise = t / (1 - t)
      const at::Tensor t = tests::times_of({static_cast<float>(ratio / (1 + ratio))});
      // t is fp32: near t = 1 its last bit moves the index by about 1e-4.
      EXPECT_NEAR(model::network_time(input, t).item<float>(), k, 1e-2) << name;
    }
    const at::Tensor ends = model::network_time(input, tests::times_of({0.0f, 1.0f}));
    EXPECT_EQ(ends[0].item<float>(), 999.0f);
    EXPECT_EQ(ends[1].item<float>(), 0.0f);
  }
}

TEST(TimeInput, TheCosineScheduleHasOtherIndicesThanTheLinearOne) {
  // Nichol, Dhariwal, Eq. 17: alpha_bar = f(k + 1) / f(0), f(k) = cos^2((k / 1000 + 0.008) / 1.008 pi / 2).
  const auto f = [](double k) { return std::pow(std::cos((k / 1000 + 0.008) / 1.008 * M_PI / 2), 2); };
  EXPECT_NEAR(model::alpha_bars("cosine")[499], f(500) / f(0), 1e-12);
  const at::Tensor half = tests::times_of({0.5f});
  EXPECT_NEAR(model::network_time(model::TimeInput::kDdpm999, half).item<float>(), 259, 1);
  EXPECT_NEAR(model::network_time(model::TimeInput::kDdpm999Cosine, half).item<float>(), 496, 1);
}

}  // namespace
}  // namespace pathline

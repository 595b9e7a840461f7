// SPDX-License-Identifier: Apache-2.0
#include "core/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "core/error.h"
#include "core/random.h"
#include "core/toml_text.h"

namespace pathline::core {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

struct Options {
  bool flip = true;
  std::int64_t steps = 100;
  double lr = 2e-4;
  std::string path = "linear";
  std::vector<double> decays{0.99, 0.999};
  std::vector<std::int64_t> multipliers{1, 2};
  std::vector<std::string> files{"a.h5"};

  void bind(Config& config) {
    config.bind("data", "flip", flip, OnResume::kFixed, "mirror half of the images");
    config.bind("train", "steps", steps, OnResume::kChangeable, "optimizer steps");
    config.bind("optimizer", "lr", lr, OnResume::kChangeable, "");
    config.bind("flow", "path", path, OnResume::kFixed, "linear | vp");
    config.bind("ema", "decays", decays, OnResume::kChangeable, "warmed up");
    config.bind("model", "multipliers", multipliers, OnResume::kFixed, "channels of each level");
    config.bind("data", "files", files, OnResume::kFree, "one or several");
  }
};

std::string refusal_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "accepted";
}

Config recipe(std::string_view text) { return Config::from_text(text, "recipe.toml"); }

TEST(Config, GivesWhatTheRecipeSaysAndDefaultsOtherwise) {
  Config config =
      recipe("[train]\nsteps = 2_000\n[data]\nflip = false\nfiles = [\"x\", \"y\"]\n[ema]\ndecays = [1, 0.5]\n");
  Options options;
  options.bind(config);
  config.refuse_unknown_keys();
  EXPECT_EQ(options.steps, 2000);
  EXPECT_FALSE(options.flip);
  EXPECT_THAT(options.files, ElementsAre("x", "y"));
  EXPECT_THAT(options.decays, ElementsAre(1.0, 0.5));
  EXPECT_EQ(options.lr, 2e-4);
  EXPECT_EQ(options.path, "linear");
  EXPECT_TRUE(config.has("train", "steps"));
  EXPECT_FALSE(config.has("optimizer", "lr"));
  EXPECT_FALSE(config.has("nothing", "at all"));
}

TEST(Config, TakesWholeNumbersForNumbersAndNumbersForStrings) {
  Config config =
      recipe("[optimizer]\nlr = 1\n[flow]\npath = 0.02\n[data]\nfiles = \"one\"\n[model]\nmultipliers = 3\n");
  Options options;
  options.bind(config);
  EXPECT_EQ(options.lr, 1.0);
  EXPECT_EQ(options.path, "0.02");
  EXPECT_THAT(options.files, ElementsAre("one"));
  EXPECT_THAT(options.multipliers, ElementsAre(3));
}

TEST(Config, AWrongTypeNamesFileLineKeyAndExpectedType) {
  const struct {
    const char *text, *key, *expected;
  } cases[] = {{"\n[train]\nsteps = 1.5", "train.steps", "a whole number"},
               {"\n[train]\nsteps = \"many\"", "train.steps", "a whole number"},
               {"\n[data]\nflip = 1", "data.flip", "true or false"},
               {"\n[optimizer]\nlr = \"x\"", "optimizer.lr", "a number"},
               {"\n[flow]\npath = [1]", "flow.path", "a string"},
               {"\n[flow]\npath = true", "flow.path", "a string"},
               {"\n[ema]\ndecays = [0.5, true]", "ema.decays", "a list of numbers"},
               {"\n[model]\nmultipliers = [1, 2.5]", "model.multipliers", "a list of whole numbers"},
               {"\n[data]\nfiles = [[]]", "data.files", "a list of strings"}};
  for (const auto& wrong : cases) {
    Config config = recipe(wrong.text);
    Options options;
    EXPECT_THAT(refusal_of([&] { options.bind(config); }),
                AllOf(HasSubstr("recipe.toml, line 3"), HasSubstr(wrong.key), HasSubstr(wrong.expected)));
  }
}

TEST(Config, ASyntaxErrorNamesLineAndColumn) {
  EXPECT_THAT(refusal_of([] { recipe("[train]\nsteps = = 1\n"); }), HasSubstr("recipe.toml, line 2, column 9"));
  EXPECT_THAT(refusal_of([] { recipe("[a]\nb = 1\nb = 2\n"); }), HasSubstr("line 3"));
  EXPECT_THAT(refusal_of([] { Config::from_file("none/recipe.toml"); }), HasSubstr("none/recipe.toml"));
}

TEST(Config, AnUnknownKeyNamesTheNearestKnownOne) {
  const struct {
    const char *text, *name, *nearest;
  } cases[] = {{"[train]\nstep = 1", "train.step", "train.steps"},
               {"[data]\nflipp = true", "data.flipp", "data.flip"},
               {"[train]\nlr = 1", "train.lr", "optimizer.lr"},
               {"[trian]\nsteps = 1", "trian.steps", "[train]"},
               {"[trian]", "[trian]", "[train]"},
               {"[data.flip]\nx = 1", "data.flip", "true or false"},
               {"steps = 1", "\"steps\"", "outside of any section"}};
  for (const auto& wrong : cases) {
    Config config = recipe(wrong.text);
    Options options;
    EXPECT_THAT(refusal_of([&] {
                  options.bind(config);
                  config.refuse_unknown_keys();
                }),
                AllOf(HasSubstr("recipe.toml, line "), HasSubstr(wrong.name), HasSubstr(wrong.nearest)));
  }
}

TEST(Config, SettingOverridesTheFile) {
  Config config = recipe("[train]\nsteps = 5\n[data]\nfiles = [\"a\", \"b\"]");
  for (const char* assignment : {"train.steps=7", "flow.path=runs/x = y", "optimizer.lr=1e-3", "data.flip=false",
                                 "ema.decays=[0.5, 1]", "data.files=[\"c\"]"}) {
    config.set(assignment);
  }
  Options options;
  options.bind(config);
  EXPECT_EQ(options.steps, 7);
  EXPECT_EQ(options.path, "runs/x = y");
  EXPECT_EQ(options.lr, 1e-3);
  EXPECT_FALSE(options.flip);
  EXPECT_THAT(options.decays, ElementsAre(0.5, 1.0));
  EXPECT_THAT(options.files, ElementsAre("c"));
}

TEST(Config, ASetValueThatIsNoTomlValueIsAString) {
  for (const std::string text : {"", "007", "2024-01-02", "a\nb = 1", "{x = 1}", "\"unclosed", "[1", "tru"}) {
    Config config;
    config.set("flow.path=" + text);
    std::string path = "default";
    config.bind("flow", "path", path, OnResume::kFree, "");
    EXPECT_EQ(path, text);
  }
}

TEST(Config, MistakesInSettingAreNamed) {
  for (const char* assignment : {"steps=1", "train.steps", "a.b.c=1", ".x=1", "x.=1", ""}) {
    EXPECT_THAT(refusal_of([&] { Config().set(assignment); }), HasSubstr("section.key=value")) << assignment;
  }
  Config config;
  config.set("train.steps=many");
  Options options;
  EXPECT_THAT(refusal_of([&] { options.bind(config); }),
              AllOf(HasSubstr("train.steps=many"), HasSubstr("whole number")));
  Config unknown;
  unknown.set("train.stepps=1");
  EXPECT_THAT(refusal_of([&] {
                Options().bind(unknown);
                unknown.refuse_unknown_keys();
              }),
              AllOf(HasSubstr("train.stepps=1"), HasSubstr("train.steps")));
}

TEST(Config, DumpIsInOrderOfBindingWithComments) {
  Config config;
  Options options;
  options.bind(config);
  EXPECT_EQ(config.dump(),
            "[data]\nflip = true  # mirror half of the images\nfiles = [\"a.h5\"]  # one or several\n\n"
            "[train]\nsteps = 100  # optimizer steps\n\n[optimizer]\nlr = 2e-4\n\n"
            "[flow]\npath = \"linear\"  # linear | vp\n\n[ema]\ndecays = [0.99, 0.999]  # warmed up\n\n"
            "[model]\nmultipliers = [1, 2]  # channels of each level\n");
}

std::map<std::string, std::string> values_of(const Config& config) {
  std::map<std::string, std::string> values;
  for (const auto& [name, entry] : config.effective()) values[name] = entry.value;
  return values;
}

TEST(Config, WhatIsDumpedReadsBackAsTheSame) {
  const double limits[] = {0.0, -0.0,    1.0,    1e20,     1e300,     -2.5,
                           0.1, 1.0 / 3, 5e-324, INFINITY, -INFINITY, std::numeric_limits<double>::max()};
  const std::string texts[] = {"", "a \"b\" \\ #c", "line\nbreak\ttab\x7f\x01", "é", "0.02", "true"};
  for (int round = 0; round < 200; ++round) {
    const Draws draws(3, round, Purpose::kMadeData);
    Options options;
    options.lr = limits[draws.bits(0) % std::size(limits)];
    options.decays.assign(draws.bits(1) % 3, std::ldexp(draws.bits(2), static_cast<int>(draws.bits(3) % 200) - 100));
    options.path = texts[draws.bits(4) % std::size(texts)];
    options.files.assign(draws.bits(5) % 3, texts[draws.bits(6) % std::size(texts)]);
    options.steps = static_cast<std::int64_t>(std::uint64_t{draws.bits(7)} << 32 | draws.bits(8));
    options.multipliers.assign(draws.bits(9) % 3, std::numeric_limits<std::int64_t>::min());
    Config config;
    options.bind(config);
    Config again = recipe(config.dump());
    Options read;
    read.bind(again);
    again.refuse_unknown_keys();
    EXPECT_EQ(read.lr, options.lr);
    EXPECT_EQ(read.decays, options.decays);
    EXPECT_EQ(read.path, options.path);
    EXPECT_EQ(read.files, options.files);
    EXPECT_EQ(read.steps, options.steps);
    EXPECT_EQ(read.multipliers, options.multipliers);
    EXPECT_EQ(values_of(again), values_of(config));
  }
}

TEST(TomlText, DoublesAreShortAndRecognisable) {
  EXPECT_EQ(toml_text(1.0), "1.0");
  EXPECT_EQ(toml_text(-0.0), "-0.0");
  EXPECT_EQ(toml_text(0.1), "0.1");
  EXPECT_EQ(toml_text(2e-4), "2e-4");
  EXPECT_EQ(toml_text(1e100), "1e100");
  EXPECT_EQ(toml_text(1e20), "1e20");
  EXPECT_EQ(toml_text(NAN), "nan");
}

TEST(Config, ResolvedDefaultsAreDumped) {
  Config config;
  Options options;
  options.bind(config);
  config.resolve("train", "steps", 123);
  EXPECT_THAT(config.dump(), HasSubstr("steps = 123  #"));
  EXPECT_EQ(config.effective().at("train.steps").value, "123");
  EXPECT_EQ(config.effective().at("train.steps").on_resume, OnResume::kChangeable);
  EXPECT_THROW(config.resolve("train", "unbound", 1), std::logic_error);
}

}  // namespace
}  // namespace pathline::core

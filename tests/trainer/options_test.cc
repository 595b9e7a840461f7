// SPDX-License-Identifier: Apache-2.0
#include "trainer/options.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "core/error.h"

namespace pathline::trainer {
namespace {

core::Config recipe(const std::string& more = "") {
  return core::Config::from_text("[data]\npath = [\"a.h5\"]\n" + more, "test");
}

std::string refusal(core::Config config) {
  try {
    read_recipe(config);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
    return error.what();
  }
  return "";
}

TEST(DefaultSlices, IsTheLargestPowerOfTwoOfSixteenSamplesOrMore) {
  EXPECT_EQ(default_slices(1), 1);
  EXPECT_EQ(default_slices(31), 1);
  EXPECT_EQ(default_slices(32), 2);
  EXPECT_EQ(default_slices(256), 16);
  EXPECT_EQ(default_slices(1 << 20), 64);
}

TEST(Recipe, OfThisRepositoryIsReadAndDoesNotShareItsDirectory) {
  std::map<std::string, std::string> directories;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(PATHLINE_RECIPES)) {
    if (entry.path().extension() != ".toml") continue;
    core::Config config = core::Config::from_file(entry.path());
    Recipe read;
    ASSERT_NO_THROW(read = read_recipe(config)) << entry.path();
    EXPECT_TRUE(directories.emplace(read.run.directory, entry.path()).second)
        << entry.path() << " and " << directories[read.run.directory] << " write to " << read.run.directory;
  }
  EXPECT_GT(directories.size(), 30u);
}

TEST(Recipe, ResolvesComputedDefaultsAndDumpsThem) {
  core::Config config = recipe("[train]\nbatch = 64\nsteps = 10\n");
  const Recipe read = read_recipe(config);
  EXPECT_EQ(read.train.slices, 4);
  EXPECT_EQ(read.optimizer.schedule_steps, 10);
  core::Config again = core::Config::from_text(config.dump(), "dump");
  read_recipe(again);
  EXPECT_EQ(again.dump(), config.dump());
}

TEST(Recipe, NamesTheNearestKeyForAMisspeltOne) {
  EXPECT_NE(refusal(recipe("[train]\nbacth = 64\n")).find("batch"), std::string::npos);
}

TEST(Recipe, RefusesABatchThatSlicesDoNotDivide) {
  const std::string text = refusal(recipe("[train]\nbatch = 100\nslices = 8\n"));
  EXPECT_NE(text.find("100"), std::string::npos);
  EXPECT_NE(text.find("8"), std::string::npos);
}

TEST(Recipe, RefusesImpossibleValues) {
  for (const char* text :
       {"[train]\nsteps = 0\n", "[optimizer]\nschedule = \"step\"\n", "[ema]\ndecays = [1.5]\n",
        "[train]\nprecision = \"fp8\"\n", "[run]\nthreads = 0\n", "[flow]\npath = \"curved\"\n",
        "[train]\nactivation_checkpointing = \"some\"\n", "[optimizer]\nbeta1 = 1\n", "[optimizer]\nbeta2 = -0.1\n",
        "[optimizer]\nepsilon = 0\n", "[optimizer]\nweight_decay = -1\n", "[checkpoint]\nevery_steps = -1\n",
        "[checkpoint]\nevery_minutes = -1\n", "[checkpoint]\nkeep_every_steps = -1\n", "[sample]\nevery_steps = -1\n",
        "[log]\nvalidate_every_steps = -1\n"}) {
    EXPECT_NE(refusal(recipe(text)), "") << text;
  }
}

TEST(Recipe, RefusesToKeepTheBestOfWhatNothingMeasures) {
  EXPECT_NE(refusal(recipe("[checkpoint]\nkeep_best = 2\n")).find("Set data.validation"), std::string::npos);
  EXPECT_NE(refusal(recipe("validation = 0.0\n[checkpoint]\nkeep_best = 2\n")).find("Set data.validation"),
            std::string::npos);
  EXPECT_EQ(refusal(recipe("validation = 0.1\n[checkpoint]\nkeep_best = 2\n")), "");
  EXPECT_EQ(refusal(recipe("[checkpoint]\nkeep_best = 2\nbest_metric = \"loss\"\n")), "");
  EXPECT_NE(refusal(recipe("validation = 0.1\n[ema]\ndecays = []\n[checkpoint]\nkeep_best = 2\nbest_metric = "
                           "\"ema_held_out_loss\"\n"))
                .find("ema.decays"),
            std::string::npos);
  EXPECT_NE(refusal(recipe("[checkpoint]\nbest_metric = \"accuracy\"\n")).find("is not offered"), std::string::npos);
}

TEST(Resume, RefusesFixedKeysAndTellsChangeableOnes) {
  core::Config stored = recipe("[train]\nbatch = 64\nsteps = 10\n");
  core::Config longer =
      recipe("[train]\nbatch = 64\nsteps = 20\n[optimizer]\nschedule_steps = 10\n[run]\ndirectory = \"x\"\n");
  core::Config other = recipe("[train]\nbatch = 32\nsteps = 10\n");
  read_recipe(stored);
  read_recipe(longer);
  read_recipe(other);
  const auto changes = check_resume(stored, longer);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_NE(changes[0].find("train.steps"), std::string::npos);
  EXPECT_THROW(check_resume(stored, other), core::Error);
}

}  // namespace
}  // namespace pathline::trainer

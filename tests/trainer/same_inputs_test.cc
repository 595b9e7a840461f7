// SPDX-License-Identifier: Apache-2.0
#include "trainer/same_inputs.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/trainer/runs.h"
#include "trainer/starting_weights.h"
#include "trainer/teacher.h"

namespace pathline::trainer {
namespace {

struct Refusal {
  core::ExitCode code = core::ExitCode::kFinished;
  std::string text;
};

Refusal refusal_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const core::Error& error) {
    return {error.code(), error.what()};
  }
  return {};
}

bool has(const Refusal& refusal, const std::string& text) { return refusal.text.find(text) != std::string::npos; }

TEST(SameInputs, NamesTheRankThatReadSomethingElseOnAllRanks) {
  tests::each_rank([](cluster::Communicator& ranks) {
    const bool last = ranks.rank() == ranks.size() - 1;
    const std::vector<Input> inputs = {{"recipe", "a = 1\nb = 2\n", core::ExitCode::kUsage, ""},
                                       {"data.path", last ? "old" : "new", core::ExitCode::kInput, "Stage it again."}};
    const Refusal refusal = refusal_of([&] { check_same_inputs(inputs, ranks); });
    if (ranks.size() == 1) {
      EXPECT_EQ(refusal.text, "");
      return;
    }
    EXPECT_EQ(refusal.code, core::ExitCode::kInput);
    EXPECT_TRUE(has(refusal, core::concat("rank ", ranks.size() - 1, " read another data.path"))) << refusal.text;
    EXPECT_TRUE(has(refusal, "\"old\"") && has(refusal, "\"new\"") && has(refusal, " on host ")) << refusal.text;
  });
}

TEST(SameInputs, ShowsTheFirstLineThatDiffers) {
  tests::each_rank([](cluster::Communicator& ranks) {
    const std::string text = ranks.rank() == 1 ? "a = 1\nb = 3\nc = 4\n" : "a = 1\nb = 2\n";
    const std::vector<Input> inputs = {{"recipe", text, core::ExitCode::kUsage, ""}};
    const Refusal refusal = refusal_of([&] { check_same_inputs(inputs, ranks); });
    EXPECT_EQ(ranks.size() > 1, has(refusal, "\"b = 3\", where rank 0 has \"b = 2\"")) << refusal.text;
  });
}

TEST(SameInputs, ARunWhoseRanksHaveDifferentRecipesDoesNotStart) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Runs runs(ranks, 100);
    const bool last = ranks.rank() == ranks.size() - 1;
    const std::vector<std::string> sets = {last ? "optimizer.lr=0.02" : "optimizer.lr=0.01", "train.steps=1"};
    const Refusal refusal = refusal_of([&] { runs.train("mixed", sets, ranks); });
    if (ranks.size() > 1) {
      EXPECT_EQ(refusal.code, core::ExitCode::kUsage);
    }
    EXPECT_EQ(ranks.size() > 1, has(refusal, "optimizer.lr = 0.02")) << refusal.text;
    ranks.barrier();
  });
}

TEST(PinnedSources, NameTheRunsNewestStepAndKeepTheKindOfWeights) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Runs runs(ranks, 100);
    runs.train("run", {"train.steps=2"}, ranks);
    const std::string run = runs.directory("run"), step = run + "/checkpoints/step-2";
    core::PosixFileSystem files;
    EXPECT_EQ(pinned_init(files, run), step);
    EXPECT_EQ(pinned_init(files, run + ":ema-0.9"), step + ":ema-0.9");
    EXPECT_EQ(pinned_teacher(files, run + "/checkpoints:master"), step + ":master");
    for (const std::string same : {"", "weights.safetensors"}) {
      EXPECT_EQ(pinned_init(files, same), same);
      EXPECT_EQ(pinned_teacher(files, same), same);
    }
    ranks.barrier();
    // The recipe keeps the run's name.
    runs.train("tuned", {"train.steps=1", "model.init=\"" + run + ":ema-0.9\""}, ranks);
    EXPECT_NE(runs.newest_state("tuned").recipe.find("\"" + run + ":ema-0.9\""), std::string::npos);
    ranks.barrier();
  });
}

}  // namespace
}  // namespace pathline::trainer

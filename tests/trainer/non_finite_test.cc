// SPDX-License-Identifier: Apache-2.0
// docs/recovery.md in whole runs: skipped, named, rolled back, given up; with the bits of one unbroken rank.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/self_communicator.h"
#include "data/sample_order.h"
#include "tests/trainer/runs.h"

namespace pathline::trainer {
namespace {

using ::testing::HasSubstr;
using Windows = std::vector<std::uint64_t>;

constexpr std::int64_t kCount = 400;  // 14 windows an epoch
constexpr std::uint64_t kBatch = 28;

/// The sample at `place` of window `window` without held-out samples.
std::int64_t sample_at(std::uint64_t window, std::uint64_t place) {
  const data::HoldOut all(0, kCount, 0);
  return all.training_sample(data::SampleOrder(0, kCount).sample(window * kBatch + place));
}

/// First positions of the windows among the first `count` that hold `sample`.
Windows windows_with(std::int64_t sample, std::uint64_t count) {
  Windows windows;
  for (std::uint64_t window = 0; window < count; ++window) {
    for (std::uint64_t place = 0; place < kBatch; ++place) {
      if (sample_at(window, place) == sample) windows.push_back(window * kBatch);
    }
  }
  return windows;
}

int lines_of(const std::string& text, const std::string& part) {
  int found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

/// Two windows in a row go back to a checkpoint of every third step.
const std::vector<std::string> kImpatient = {"data.validation=0", "train.skips_before_rollback=2", "train.rollbacks=1",
                                             "checkpoint.every_steps=3"};

std::vector<std::string> with(std::vector<std::string> sets, const std::string& more) {
  sets.push_back(more);
  return sets;
}

TEST(NonFinite, ABadSampleIsNamedWheneverItComesAndItsWindowsAreLeftOut) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Runs runs(ranks, kCount, {17});
    const Windows expected = windows_with(17, 30);
    ASSERT_EQ(expected.size(), 2u);
    const std::vector<std::string> sets = {"data.validation=0", "train.steps=30"};
    if (ranks.rank() == 0) runs.train("alone", sets, *cluster::make_self_communicator());
    ranks.barrier();
    EXPECT_EQ(runs.train("together", sets, ranks), core::ExitCode::kFinished);
    if (ranks.rank() == 0) {
      const checkpoint::State state = runs.newest_state("together");
      EXPECT_EQ(state.skipped_windows, expected);
      EXPECT_EQ(state.optimizer_step, 28u);
      EXPECT_EQ(state.skips_in_a_row, 0u);
      EXPECT_TRUE(runs.newest("alone") == runs.newest("together"));
      const std::string metrics = runs.metrics("together");
      EXPECT_EQ(lines_of(metrics, "\"kind\":\"skip\""), 2);
      EXPECT_EQ(lines_of(metrics, "\"samples\":\"17\""), 2);
      EXPECT_THAT(metrics, HasSubstr("item 17 of points.h5: its values are not finite"));
    }
    ranks.barrier();
  });
}

// The oracle skips windows 3 to 6 one by one, because each holds a bad sample; the other run trains on 3 and 4, fails
// on 5 and 6, and goes back to step 3: what it then knows comes from the same windows.
TEST(NonFinite, ARollbackLeavesTheWeightsOfARunThatNeverSawTheWindows) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Runs runs(ranks, kCount, {sample_at(5, 3), sample_at(6, 27)});
    Runs oracle(ranks, kCount, {sample_at(3, 0), sample_at(4, 9), sample_at(5, 3), sample_at(6, 27)});
    if (ranks.rank() == 0) {
      oracle.train("skips", {"data.validation=0", "train.steps=13", "train.skips_before_rollback=5"},
                   *cluster::make_self_communicator());
    }
    ranks.barrier();
    EXPECT_EQ(runs.train("back", kImpatient, ranks), core::ExitCode::kFinished);
    if (ranks.rank() == 0) {
      const checkpoint::State state = runs.newest_state("back");
      EXPECT_EQ(state.step, 9u);
      EXPECT_EQ(state.optimizer_step, 9u);
      EXPECT_EQ(state.position, 13 * kBatch);
      EXPECT_EQ(state.skipped_windows, (Windows{3 * kBatch, 4 * kBatch, 5 * kBatch, 6 * kBatch}));
      EXPECT_EQ(state.rollbacks_in_a_row, 0u);  // step 6 was reached again
      EXPECT_TRUE(runs.newest("back") == oracle.newest("skips"));
      EXPECT_EQ(lines_of(runs.metrics("back"), "\"kind\":\"rollback\""), 1);
      EXPECT_THAT(runs.metrics("back"), HasSubstr("checkpoints/step-3"));
    }
    ranks.barrier();
  });
}

TEST(NonFinite, StoppedAroundSkipsAndARollbackAndResumedEqualsUnbroken) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Runs runs(ranks, kCount, {sample_at(1, 1), sample_at(5, 3), sample_at(6, 27)});
    if (ranks.rank() == 0) runs.train("unbroken", kImpatient, *cluster::make_self_communicator());
    ranks.barrier();
    for (const int moment : {2, 4, 6, 7, 8}) {  // windows 5 and 6 are skipped, then the weights go back to step 3
      const std::string name = "stopped-" + std::to_string(moment);
      int calls = 0;
      const auto stop = [&] { return Requests{++calls == moment, false}; };
      EXPECT_EQ(runs.train(name, kImpatient, ranks, stop), core::ExitCode::kStopped);
      ranks.barrier();
      if (ranks.rank() == 0) {
        EXPECT_EQ(runs.train(name, kImpatient, *cluster::make_self_communicator()), core::ExitCode::kFinished);
        EXPECT_TRUE(runs.newest(name) == runs.newest("unbroken")) << moment;
        EXPECT_EQ(runs.newest_state(name).skipped_windows, runs.newest_state("unbroken").skipped_windows) << moment;
        EXPECT_EQ(runs.newest_state(name).position, runs.newest_state("unbroken").position) << moment;
      }
      ranks.barrier();
    }
  });
}

/// The message of a run that ends with exit code 66.
std::string end_of(Runs& runs, const std::string& name, const std::vector<std::string>& sets,
                   cluster::Communicator& ranks) {
  try {
    runs.train(name, sets, ranks);
  } catch (const cluster::AgreedError& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kNumerical);
    return error.what();
  }
  ADD_FAILURE() << "trained on nothing";
  return "";
}

TEST(NonFinite, WithoutOlderWeightsTheRunEndsAfterTheSkipsAllowedNamingSamples) {
  tests::each_rank([](cluster::Communicator& ranks) {
    std::set<std::int64_t> all;
    for (std::int64_t i = 0; i < kCount; ++i) all.insert(i);
    Runs runs(ranks, kCount, all);
    const std::string said = end_of(runs, "bad", {"data.validation=0", "checkpoint.every_steps=2"}, ranks);
    EXPECT_THAT(said, HasSubstr("there is no checkpoint with older weights"));
    EXPECT_THAT(said,
                HasSubstr("item " + std::to_string(sample_at(4, 0)) + " of points.h5: its values are not finite"));
    EXPECT_THAT(said, HasSubstr("and 20 more"));
    if (ranks.rank() == 0) {
      EXPECT_EQ(lines_of(runs.metrics("bad"), "\"kind\":\"skip\""), 5);
      EXPECT_EQ(runs.newest_state("bad").optimizer_step, 0u);
    }
    ranks.barrier();
  });
}

TEST(NonFinite, EndsWhenRollbacksLeadToNoNewerCheckpoint) {
  tests::each_rank([](cluster::Communicator& ranks) {
    std::set<std::int64_t> bad;
    for (std::uint64_t window = 4; window < 12; ++window) bad.insert(sample_at(window, window));
    Runs runs(ranks, kCount, bad);
    const std::string said = end_of(runs, "bad", kImpatient, ranks);
    EXPECT_THAT(said, HasSubstr("train.rollbacks = 1"));
    EXPECT_THAT(said, HasSubstr(std::to_string(sample_at(7, 7))));
    if (ranks.rank() == 0) {
      EXPECT_EQ(lines_of(runs.metrics("bad"), "\"kind\":\"skip\""), 4);
      EXPECT_EQ(runs.newest_state("bad").step, 3u);
    }
    ranks.barrier();
    EXPECT_THAT(end_of(runs, "none", with(kImpatient, "train.rollbacks=0"), ranks), HasSubstr("train.rollbacks = 0"));
  });
}

TEST(NonFinite, DivergedWeightsAreBlamedAndNotSamples) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Runs runs(ranks, kCount);
    const std::string said =
        end_of(runs, "diverged", {"data.validation=0", "optimizer.lr=1e30", "train.clip=0", "train.steps=50"}, ranks);
    EXPECT_THAT(said, HasSubstr("the weights are at fault, not a sample"));
    ranks.barrier();
  });
}

}  // namespace
}  // namespace pathline::trainer

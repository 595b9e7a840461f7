// SPDX-License-Identifier: Apache-2.0
// Whole runs on any number of ranks, threads or processes: the bits do not depend on them, nor on being stopped.
#include "trainer/training_run.h"

#include <gtest/gtest.h>

#include <exception>
#include <set>
#include <string>

#include "cluster/self_communicator.h"
#include "tests/trainer/runs.h"

namespace pathline::trainer {
namespace {

constexpr std::int64_t kItems = 100;

TEST(TrainingRun, OverfitsOnTheFirstSamplesAlone) {
  tests::each_rank([](cluster::Communicator& ranks) {
    // All others would make a step that is not finite, and be named.
    std::set<std::int64_t> bad;
    for (std::int64_t i = 5; i < kItems; ++i) bad.insert(i);
    Runs runs(ranks, kItems, bad);
    runs.train("few", {"data.overfit=5", "data.validation=\"0\"", "log.norms_every_steps=3"}, ranks);
    if (ranks.rank() == 0) {
      EXPECT_EQ(runs.newest_state("few").optimizer_step, 9u);
      EXPECT_EQ(runs.metrics("few").find("skip"), std::string::npos);
      EXPECT_NE(runs.metrics("few").find("\"update_norm/net.2\""), std::string::npos);
    }
    ranks.barrier();
    EXPECT_THROW(runs.train("many", {"data.overfit=500"}, ranks), std::exception);
    ranks.barrier();
  });
}

TEST(TrainingRun, GivesTheBitsOfOneRankOnAnyNumberOfRanks) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Runs runs(ranks, kItems);
    if (ranks.rank() == 0) runs.train("alone", {}, *cluster::make_self_communicator());
    ranks.barrier();
    runs.train("together", {}, ranks);
    if (ranks.rank() == 0) {
      EXPECT_EQ(runs.newest_state("together").step, 9u);
      EXPECT_TRUE(runs.newest("alone") == runs.newest("together"));
    }
    ranks.barrier();
  });
}

TEST(TrainingRun, StoppedOnOneRankAndResumedAloneEqualsUnbroken) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Runs runs(ranks, kItems);
    int calls = 0;
    const bool last = ranks.rank() == ranks.size() - 1;  // one rank suffices
    const auto code = runs.train("stopped", {}, ranks, [&] { return Requests{last && ++calls == 4, false}; });
    EXPECT_EQ(code, core::ExitCode::kStopped);
    ranks.barrier();
    if (ranks.rank() == 0) {
      EXPECT_EQ(runs.newest_state("stopped").step, 4u);  // asked before the fourth step, agreed after it
      EXPECT_EQ(runs.train("stopped", {}, *cluster::make_self_communicator()), core::ExitCode::kFinished);
      runs.train("unbroken", {}, *cluster::make_self_communicator());
      EXPECT_TRUE(runs.newest("unbroken") == runs.newest("stopped"));
    }
    ranks.barrier();
  });
}

TEST(TrainingRun, AFaultOfTheEnvironmentAfterTheFirstStepAsksToBeStartedAgain) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Runs runs(ranks, kItems);
    const auto code_of_fault_at = [&](int call) {
      int calls = 0;
      try {
        runs.train("fault", {}, *cluster::make_self_communicator(), [&] {
          PL_CHECK(++calls < call, core::ExitCode::kEnvironment, "cannot read x.");
          return Requests{};
        });
      } catch (const core::Error& error) {
        const bool asks = std::string(error.what()).find("cannot read x. This had worked before") == 0;
        EXPECT_EQ(asks, error.code() == core::ExitCode::kRankLost);
        return error.code();
      }
      return core::ExitCode::kFinished;
    };
    if (ranks.rank() == 0) {
      EXPECT_EQ(code_of_fault_at(1), core::ExitCode::kEnvironment);  // asked before the first step
      EXPECT_EQ(code_of_fault_at(2), core::ExitCode::kRankLost);
      EXPECT_EQ(code_of_fault_at(99), core::ExitCode::kFinished);
    }
    ranks.barrier();
  });
}

TEST(TrainingRun, RefusesMoreRanksThanSlicesOnAllRanks) {
  tests::each_rank([](cluster::Communicator& ranks) {
    if (ranks.size() < 2) return;
    Runs runs(ranks, kItems);
    try {
      runs.train("crowded", {"train.slices=1"}, ranks);
      ADD_FAILURE() << "a slice was shared";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kUsage);
    }
    ranks.barrier();
  });
}

}  // namespace
}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
// A save that fails, is killed or loses power at any call leaves the earlier checkpoint or the new one, never less.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest.h"
#include "core/error.h"
#include "tests/checkpoint/checkpoint_fixture.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"

namespace pathline::checkpoint {
namespace {

using tests::FaultyFileSystem;
using tests::MemoryFileSystem;
using Fault = FaultyFileSystem::Fault;

const std::string kDirectory = "/run/checkpoints";

void quiet(const std::string&) {}

/// A run directory as the trainer has made and synced it.
void make_run(MemoryFileSystem& files) {
  files.make_directory("/run");
  files.sync_directory("/");
}

/// True if the newest good checkpoint is exactly one of the two.
::testing::AssertionResult holds_one_of(core::FileSystem& files, const Sample& a, const Sample& b) {
  const auto newest = newest_good(files, kDirectory, quiet);
  if (!newest) return ::testing::AssertionFailure() << "no checkpoint";
  const Reader reader(files, *newest);
  if (holds(reader, a) || holds(reader, b)) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << *newest << " is neither";
}

/// Calls that change storage while `second` is saved over `first` without faults.
int calls_of_save(const Sample& first, const Sample& second) {
  MemoryFileSystem disk;
  make_run(disk);
  save_alone(disk, kDirectory, first, 1);
  FaultyFileSystem counting(disk);
  save_alone(counting, kDirectory, second, 2);
  return counting.calls();
}

/// Saves `second` over an earlier `first` with a fault at every call in turn; after each the world must be in order.
void fail_everywhere(Fault fault, bool power_failure, const Sample& first, const Sample& second) {
  const int calls = calls_of_save(first, second);
  ASSERT_GE(calls, 20);
  for (int k = 0; k < calls; ++k) {
    SCOPED_TRACE("fault at call " + std::to_string(k));
    MemoryFileSystem disk;
    make_run(disk);
    save_alone(disk, kDirectory, first, 1);
    {
      FaultyFileSystem faulty(disk, fault, k);
      bool returned = true;
      try {
        save_alone(faulty, kDirectory, second, 2);
      } catch (const core::Error& error) {
        returned = false;
        EXPECT_EQ(error.code(), core::ExitCode::kEnvironment);
      }
      EXPECT_GT(faulty.calls(), k);
      if (power_failure) disk.lose_unsynced();
      if (returned) {
        ASSERT_TRUE(holds(Reader(disk, *newest_good(disk, kDirectory, quiet)), second)) << "save() returned";
      }
    }
    ASSERT_TRUE(holds_one_of(disk, first, second));

    remove_litter(disk, kDirectory);
    for (const auto& name : disk.list(kDirectory)) {
      ASSERT_TRUE(name == "latest" || (parse_step_name(name).is_step && parse_step_name(name).superseded == 0)) << name;
    }
    ASSERT_TRUE(holds_one_of(disk, first, second));
    save_alone(disk, kDirectory, second, 3);
    ASSERT_TRUE(holds(Reader(disk, resolve(disk, "/run")), second));
    ASSERT_TRUE(holds(Reader(disk, *newest_good(disk, kDirectory, quiet)), second));
  }
}

TEST(Commit, AnErrorAtAnyCallLeavesAGoodCheckpoint) {
  fail_everywhere(Fault::kError, false, small_sample(1), small_sample(2));
}
TEST(Commit, AKillAtAnyCallLeavesAGoodCheckpoint) {
  fail_everywhere(Fault::kStop, false, small_sample(1), small_sample(2));
}
TEST(Commit, APowerFailureAtAnyCallLeavesAGoodCheckpoint) {
  fail_everywhere(Fault::kStop, true, small_sample(1), small_sample(2));
}
TEST(Commit, ALostAnswerAtAnyCallLeavesAGoodCheckpoint) {
  fail_everywhere(Fault::kErrorAfter, false, small_sample(1), small_sample(2));
}

/// The same step again, with other bytes: what a run does that went back and skipped a window.
Sample same_step_other_bytes() {
  Sample sample = small_sample(2);
  sample.state.step = 1;
  return sample;
}

TEST(Commit, SavingAStepAgainSurvivesErrors) { fail_everywhere(Fault::kError, false, small_sample(1), same_step_other_bytes()); }
TEST(Commit, SavingAStepAgainSurvivesKills) { fail_everywhere(Fault::kStop, false, small_sample(1), same_step_other_bytes()); }
TEST(Commit, SavingAStepAgainSurvivesPowerFailures) {
  fail_everywhere(Fault::kStop, true, small_sample(1), same_step_other_bytes());
}
TEST(Commit, SavingAStepAgainSurvivesLostAnswers) {
  fail_everywhere(Fault::kErrorAfter, false, small_sample(1), same_step_other_bytes());
}

TEST(Commit, AReturnedSaveSurvivesAPowerFailure) {
  MemoryFileSystem disk;
  make_run(disk);
  save_alone(disk, kDirectory, small_sample(1));
  save_alone(disk, kDirectory, small_sample(2));
  disk.lose_unsynced();
  EXPECT_TRUE(holds(Reader(disk, *newest_good(disk, kDirectory, quiet)), small_sample(2)));
  EXPECT_EQ(core::read_text(disk, kDirectory + "/latest"), "step-2\n");
}

TEST(Commit, ARenameWhoseAnswerWasLostIsASuccess) {
  int successes = 0;
  for (int k = 0; k < calls_of_save(small_sample(1), small_sample(2)); ++k) {
    MemoryFileSystem disk;
    make_run(disk);
    save_alone(disk, kDirectory, small_sample(1));
    FaultyFileSystem faulty(disk, Fault::kErrorAfter, k);
    try {
      save_alone(faulty, kDirectory, small_sample(2));
      ++successes;
    } catch (const core::Error&) {
    }
  }
  EXPECT_EQ(successes, 1);  // of all calls only this rename may fail without the save failing
}

TEST(Commit, ADeletionThatStopsAnywhereLeavesWholeCheckpointsOnly) {
  const auto make = [](MemoryFileSystem& disk) {
    make_run(disk);
    save_alone(disk, kDirectory, small_sample(1));
    save_alone(disk, kDirectory, small_sample(1));  // with a superseded one beside it
    save_alone(disk, kDirectory, small_sample(2));
  };
  MemoryFileSystem whole_disk;
  make(whole_disk);
  FaultyFileSystem counting(whole_disk);
  delete_checkpoint(counting, kDirectory + "/step-1");
  ASSERT_GE(counting.calls(), 8);
  for (int k = 0; k < counting.calls(); ++k) {
    for (const bool power_failure : {false, true}) {
      MemoryFileSystem disk;
      make(disk);
      FaultyFileSystem faulty(disk, Fault::kStop, k);
      try {
        delete_checkpoint(faulty, kDirectory + "/step-1");
      } catch (const core::Error&) {
      }
      if (power_failure) disk.lose_unsynced();
      for (const auto& one : list(disk, kDirectory)) {
        ASSERT_EQ(Reader(disk, one.directory).verify(), std::vector<std::string>{}) << one.directory << " call " << k;
      }
      remove_litter(disk, kDirectory);
      const auto names = disk.list(kDirectory);
      const bool gone = names == std::vector<std::string>{"latest", "step-2"};
      const bool whole = names == std::vector<std::string>{"latest", "step-1", "step-2"};
      ASSERT_TRUE(gone || whole) << "call " << k;
    }
  }
}

}  // namespace
}  // namespace pathline::checkpoint

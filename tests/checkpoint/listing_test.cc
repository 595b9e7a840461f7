// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest.h"
#include "core/error.h"
#include "tests/checkpoint/checkpoint_fixture.h"
#include "tests/support/memory_file_system.h"

namespace pathline::checkpoint {
namespace {

using tests::MemoryFileSystem;
using Steps = std::vector<std::uint64_t>;

const std::string kDirectory = "/run/checkpoints";

TEST(Listing, StepsSortAsNumbersAndOtherNamesAreNoCheckpoints) {
  MemoryFileSystem files;
  for (const std::uint64_t step : {1000, 9, 20}) save_alone(files, kDirectory, small_sample(step));
  for (const std::string name : {"step-5", "step-07", "step-3.1.tmp", "step-x", "notes"}) files.make_directory(kDirectory + "/" + name);
  core::replace_file(files, kDirectory + "/step-07/manifest.json", "x");
  Steps steps;
  for (const auto& one : list(files, kDirectory)) {
    steps.push_back(one.step);
    EXPECT_EQ(one.latest, one.step == 20);
    EXPECT_GT(one.bytes, 100u);
    EXPECT_EQ(one.problem, "");
  }
  EXPECT_EQ(steps, (Steps{9, 20, 1000}));
  EXPECT_EQ(newest_good(files, kDirectory, [](const std::string&) {}), kDirectory + "/step-1000");
}

TEST(Listing, AnEmptyOrMissingDirectoryHasNoCheckpoint) {
  MemoryFileSystem files;
  EXPECT_TRUE(list(files, kDirectory).empty());
  EXPECT_EQ(newest_good(files, kDirectory, [](const std::string&) {}), std::nullopt);
  EXPECT_THROW(resolve(files, "/run"), core::Error);
  files.make_directory(kDirectory);
  EXPECT_EQ(newest_good(files, kDirectory, [](const std::string&) {}), std::nullopt);
  EXPECT_THROW(resolve(files, "/run"), core::Error);
}

TEST(Listing, ARunItsCheckpointsAndOneStepAllResolve) {
  MemoryFileSystem files;
  save_alone(files, kDirectory, small_sample(1));
  save_alone(files, kDirectory, small_sample(2));
  EXPECT_EQ(resolve(files, "/run"), kDirectory + "/step-2");
  EXPECT_EQ(resolve(files, kDirectory), kDirectory + "/step-2");
  EXPECT_EQ(resolve(files, kDirectory + "/step-1"), kDirectory + "/step-1");
}

TEST(Retention, KeepsTheLastAndTheMilestones) {
  EXPECT_EQ(to_delete({100, 200, 300, 400, 500}, {2, 0}), (Steps{100, 200, 300}));
  EXPECT_EQ(to_delete({100, 200, 300, 400, 500}, {2, 200}), (Steps{100, 300}));
  EXPECT_EQ(to_delete({500, 100, 300}, {1, 0}), (Steps{100, 300}));
  EXPECT_EQ(to_delete({100}, {3, 0}), Steps{});
  EXPECT_EQ(to_delete({}, {3, 0}), Steps{});
}

TEST(Retention, NeverDeletesTheNewest) {
  for (std::int64_t keep = -1; keep <= 4; ++keep) {
    for (const auto step : to_delete({1, 2, 3}, {keep, 0})) EXPECT_NE(step, 3u) << keep;
  }
}

TEST(Retention, LitterOfDeadAttemptsGoesAndCheckpointsStay) {
  MemoryFileSystem files;
  save_alone(files, kDirectory, small_sample(1));
  save_alone(files, kDirectory, small_sample(1));
  save_alone(files, kDirectory, small_sample(2));
  files.make_directory(kDirectory + "/step-3.7.tmp");
  core::replace_file(files, kDirectory + "/step-3.7.tmp/rank-0.safetensors", "x");
  files.make_directory(kDirectory + "/step-4");
  core::replace_file(files, kDirectory + "/step-4/rank-0.safetensors", "half deleted");
  files.make_directory(kDirectory + "/notes");
  remove_litter(files, kDirectory);
  EXPECT_EQ(files.list(kDirectory), (std::vector<std::string>{"latest", "notes", "step-1", "step-2"}));
}

TEST(Retention, ASupersededCheckpointStandsInUntilItsStepIsThereAgain) {
  MemoryFileSystem files;
  save_alone(files, kDirectory, small_sample(1));
  for (const std::uint64_t number : {2, 10}) {
    files.make_directory(kDirectory + "/aside");
    save_alone(files, "/aside", small_sample(1), number);
    files.rename("/aside/step-1", kDirectory + "/step-1.superseded-" + std::to_string(number));
  }
  const auto all = [&] { return committed(files, kDirectory); };
  EXPECT_EQ(all().at(0).directory, kDirectory + "/step-1");
  files.remove(kDirectory + "/step-1/manifest.json");
  ASSERT_EQ(all().size(), 1u);
  EXPECT_EQ(all().at(0).directory, kDirectory + "/step-1.superseded-10");
  EXPECT_EQ(newest_good(files, kDirectory, [](const std::string&) {}), kDirectory + "/step-1.superseded-10");
  remove_litter(files, kDirectory);
  EXPECT_EQ(read_manifest(files, kDirectory + "/step-1").attempt, 10u);
  EXPECT_EQ(all().size(), 1u);
}

TEST(Retention, DeletingACheckpointTakesWhatItSuperseded) {
  MemoryFileSystem files;
  save_alone(files, kDirectory, small_sample(1));
  save_alone(files, kDirectory, small_sample(1));
  save_alone(files, kDirectory, small_sample(2));
  delete_checkpoint(files, kDirectory + "/step-1");
  EXPECT_EQ(files.list(kDirectory), (std::vector<std::string>{"latest", "step-2"}));
}

TEST(Retention, CheckpointsOfABranchThatIsLeftNoLongerCountAndAreNotDeleted) {
  MemoryFileSystem files;
  for (const int step : {1, 2, 3}) save_alone(files, kDirectory, small_sample(step));
  EXPECT_EQ(set_aside_after(files, kDirectory, 1),
            (std::vector<std::string>{kDirectory + "/aside-step-2.1", kDirectory + "/aside-step-3.1"}));
  EXPECT_EQ(list(files, kDirectory).size(), 1u);
  save_alone(files, kDirectory, small_sample(2));
  EXPECT_EQ(set_aside_after(files, kDirectory, 1), (std::vector<std::string>{kDirectory + "/aside-step-2.2"}));
  remove_litter(files, kDirectory);
  EXPECT_EQ(read_manifest(files, kDirectory + "/aside-step-2.1").state.step, 2u);
  EXPECT_EQ(newest_good(files, kDirectory, [](const std::string&) {}), kDirectory + "/step-1");
}

}  // namespace
}  // namespace pathline::checkpoint

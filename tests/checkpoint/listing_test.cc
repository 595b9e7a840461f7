// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <new>
#include <stdexcept>
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

using tests::MemoryFileSystem;
using Steps = std::vector<std::uint64_t>;

const std::string kDirectory = "/run/checkpoints";

TEST(Listing, StepsSortAsNumbersAndOtherNamesAreNoCheckpoints) {
  MemoryFileSystem files;
  for (const std::uint64_t step : {1000, 9, 20}) save_alone(files, kDirectory, small_sample(step));
  for (const std::string name : {"step-5", "step-07", "step-3.1.tmp", "step-x", "notes"})
    files.make_directory(kDirectory + "/" + name);
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

TEST(Listing, WhatIsNoErrorOfOursReachesAllRanksToo) {
  MemoryFileSystem files;
  save_alone(files, kDirectory, small_sample(1));
  save_alone(files, kDirectory, small_sample(2));
  tests::FaultyFileSystem blind(files);
  blind.before_calls([](int, const std::string& what) {
    if (what == "cannot list") throw std::bad_alloc();
  });
  try {
    newest_good(blind, kDirectory, [](const std::string&) {});
    ADD_FAILURE() << "found without looking";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kEnvironment);
  }
  tests::FaultyFileSystem odd(files);
  int reads = 0;
  odd.before_calls([&](int, const std::string& what) {
    if (what == "cannot read" && ++reads <= 2) throw std::runtime_error("odd");
  });
  std::string said;
  EXPECT_EQ(newest_good(odd, kDirectory, [&](const std::string& text) { said += text; }), kDirectory + "/step-1");
  EXPECT_NE(said.find("odd"), std::string::npos);
}

TEST(Listing, ARunItsCheckpointsAndOneStepAllResolve) {
  MemoryFileSystem files;
  save_alone(files, kDirectory, small_sample(1));
  save_alone(files, kDirectory, small_sample(2));
  EXPECT_EQ(resolve(files, "/run"), kDirectory + "/step-2");
  EXPECT_EQ(resolve(files, kDirectory), kDirectory + "/step-2");
  EXPECT_EQ(resolve(files, kDirectory + "/step-1"), kDirectory + "/step-1");
}

/// Checkpoints of these steps, all readable, saved an hour after one another.
std::vector<Listed> hourly(const Steps& steps) {
  std::vector<Listed> all;
  for (const auto step : steps) {
    Listed one;
    one.step = step;
    one.saved_at = 1'800'000'000 + 3600 * static_cast<std::int64_t>(all.size());
    all.push_back(one);
  }
  return all;
}

std::vector<Listed> with_losses(const std::vector<double>& losses) {
  auto all = hourly(Steps(losses.size()));
  for (std::size_t i = 0; i < losses.size(); ++i) {
    all[i].step = 10 * (i + 1);
    all[i].metrics = {{"held_out_loss", losses[i]}, {"accuracy", -losses[i]}};
  }
  return all;
}

TEST(Retention, KeepsTheLastAndTheMilestones) {
  EXPECT_EQ(to_delete(hourly({100, 200, 300, 400, 500}), {.keep_last = 2}), (Steps{100, 200, 300}));
  EXPECT_EQ(to_delete(hourly({100, 200, 300, 400, 500}), {.keep_last = 2, .keep_every_steps = 200}), (Steps{100, 300}));
  EXPECT_EQ(to_delete(hourly({500, 100, 300}), {.keep_last = 1}), (Steps{100, 300}));
  EXPECT_EQ(to_delete(hourly({100}), {}), Steps{});
  EXPECT_EQ(to_delete({}, {}), Steps{});
}

TEST(Retention, NeverDeletesTheNewest) {
  for (std::int64_t keep = -1; keep <= 4; ++keep) {
    auto all = hourly({1, 2, 3});
    all.back().problem = keep == 0 ? "unreadable" : "";
    for (const auto step : to_delete(all, {.keep_last = keep})) EXPECT_NE(step, 3u) << keep;
  }
}

TEST(Retention, KeepsOneForEverySoManyHours) {
  const auto all = hourly({1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(to_delete(all, {.keep_last = 1, .keep_every_hours = 3}), (Steps{2, 3, 5, 6}));
  EXPECT_EQ(to_delete(all, {.keep_last = 1, .keep_every_hours = 2.5}), (Steps{2, 3, 5, 6}));
  auto unknown = all;
  for (auto& one : unknown) one.saved_at = 0;
  EXPECT_EQ(to_delete(unknown, {.keep_last = 7, .keep_every_hours = 3}), Steps{1});
}

TEST(Retention, KeepsTheBestAndOfEqualsTheEarlier) {
  const auto all = with_losses({0.5, 0.2, 0.3, 0.2, 0.9});
  EXPECT_EQ(best_of(all, {}, 3), (Steps{20, 40, 30}));
  EXPECT_EQ(best_of(all, {"accuracy", BestBy::Mode::kMax}, 3), (Steps{20, 40, 30}));
  EXPECT_EQ(best_of(all, {"held_out_loss", BestBy::Mode::kMax}, 1), Steps{50});
  EXPECT_EQ(to_delete(all, {.keep_last = 1, .keep_best = 1}), (Steps{10, 30, 40}));
  EXPECT_EQ(to_delete(all, {.keep_last = 1, .keep_best = 2}), (Steps{10, 30}));
}

TEST(Retention, ANumberThatIsNotFiniteOrNotThereIsNotTheBest) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  auto all = with_losses({nan, -infinity, 0.4, 0.1, infinity});
  EXPECT_EQ(best_of(all, {}, 9), (Steps{40, 30}));
  EXPECT_EQ(best_of(all, {"held_out_loss", BestBy::Mode::kMax}, 1), Steps{30});
  EXPECT_EQ(best_of(all, {"no such metric", BestBy::Mode::kMin}, 9), Steps{});
  all[3].problem = "unreadable";
  EXPECT_EQ(best_of(all, {}, 9), Steps{30});
}

TEST(Retention, WhatCannotBeReadStaysAndTakesNoPlaceOfAGoodOne) {
  auto all = hourly({1, 2, 3, 4, 5});
  all[2].problem = all[4].problem = "unreadable";
  EXPECT_EQ(to_delete(all, {.keep_last = 1, .keep_every_steps = 3}), (Steps{1, 2}));
  EXPECT_EQ(to_delete(all, {.keep_last = 2}), (Steps{1}));
}

TEST(Retention, DeletingAndAskingAgainGivesNothingMore) {
  for (std::uint32_t key = 0; key < 200; ++key) {
    std::vector<double> losses;
    for (std::uint32_t i = 0; i < 12; ++i) losses.push_back((key * 2654435761u + i * 40503u * (key + 1)) % 7);
    auto all = with_losses(losses);
    const Retention policy{1 + key % 3, key % 4 * 10, static_cast<double>(key % 5), key % 6, {}};
    const Steps doomed = to_delete(all, policy);
    std::erase_if(all, [&](const Listed& one) { return std::ranges::find(doomed, one.step) != doomed.end(); });
    EXPECT_EQ(to_delete(all, policy), Steps{}) << key;
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

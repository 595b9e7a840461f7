// SPDX-License-Identifier: Apache-2.0
// Two jobs and one run directory: at every call of the first one's save, the lock may change hands.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "checkpoint/lock_file.h"
#include "core/error.h"
#include "tests/checkpoint/crash_fixture.h"

namespace pathline::checkpoint {
namespace {

/// What a start after a takeover does: tidy up and go on from the newest. Its own next checkpoint is `next`.
void take_over_and_save(core::FileSystem& disk, std::unique_ptr<RunLock>& lock, const Sample& next) {
  lock = take_lock(disk, 2);
  remove_litter(disk, kDirectory);
  save_alone(disk, kDirectory, next, lock->attempt());
}

/// The first job saves `late` and is held up before call k, where a second one takes over and saves `next`. Returns
/// whether the first came back as if all were well.
bool save_as_zombie(MemoryFileSystem& disk, int k, const Sample& late, const Sample& next, bool& was_overtaken,
                    std::unique_ptr<RunLock>& second) {
  const auto first = take_lock(disk, 1);
  save_alone(disk, kDirectory, small_sample(1), first->attempt());
  FaultyFileSystem held_up(disk);
  held_up.before_calls([&](int number, const std::string&) {
    if (number != k) return;
    was_overtaken = true;
    take_over_and_save(disk, second, next);
  });
  try {
    save(held_up, kDirectory, late.state, late.tensors, late.segments(0, 1, 16), first->attempt(), Collectives{},
         [&] { return first->still_ours(); });
    return true;
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kEnvironment);
    return false;
  }
}

/// Every call of the zombie's save in turn. Its checkpoint is there only where it was committed before the takeover,
/// and then the second job has seen it; whatever it does later, the second one's checkpoint is whole and the newest.
void expect_no_zombie_commits(const Sample& late, const Sample& next) {
  int committed_before = 0;
  for (int k = 0;; ++k) {
    SCOPED_TRACE(core::concat("taken over before call ", k));
    MemoryFileSystem disk;
    bool overtaken = false;
    std::unique_ptr<RunLock> second;
    const bool returned = save_as_zombie(disk, k, late, next, overtaken, second);
    if (!overtaken) break;
    committed_before += returned;
    for (const auto& one : list(disk, kDirectory)) {
      ASSERT_EQ(Reader(disk, one.directory).verify(), std::vector<std::string>{}) << one.directory;
      ASSERT_TRUE(one.step != next.state.step || holds(Reader(disk, one.directory), next)) << one.directory;
    }
    ASSERT_TRUE(second->still_ours());
    const auto newest = newest_good(disk, kDirectory, quiet);
    ASSERT_TRUE(holds(Reader(disk, *newest), next)) << *newest;
    ASSERT_TRUE(holds(Reader(disk, resolve(disk, kRun)), next) ||
                committed_before > 0);  // a late `latest`: a hint only
    second.reset();
    const auto third = take_lock(disk, 3);
    remove_litter(disk, kDirectory);
    ASSERT_NO_FATAL_FAILURE(expect_no_litter(disk));
    ASSERT_TRUE(holds(Reader(disk, *newest_good(disk, kDirectory, quiet)), next));
  }
  EXPECT_GE(committed_before, 1);  // the last calls, after its rename
}

TEST(TwoJobs, AZombieCommitsNothingWhereverItsSaveIsTakenOver) {
  expect_no_zombie_commits(small_sample(2), small_sample(3));
}

TEST(TwoJobs, AZombieDoesNotReplaceTheSameStepOfItsSuccessor) {
  Sample next = small_sample(7);
  next.state.step = 2;
  expect_no_zombie_commits(small_sample(2), next);
}

TEST(TwoJobs, RetentionOutlivesWhatAZombieRenamed) {
  MemoryFileSystem disk;
  const auto lock = take_lock(disk, 2);
  for (const int step : {1, 2, 3}) save_alone(disk, kDirectory, small_sample(step), lock->attempt());
  disk.rename(kDirectory + "/step-2", kDirectory + "/step-2.superseded-1");
  for (const auto step : to_delete(list(disk, kDirectory), {.keep_last = 1})) {
    delete_checkpoint(disk, core::concat(kDirectory, "/step-", step));
  }
  EXPECT_EQ(disk.list(kDirectory), (std::vector<std::string>{"latest", "step-3"}));
}

TEST(TwoJobs, EveryFlippedByteOfTheRunLockOnlyDelaysTheSuccessor) {
  MemoryFileSystem disk;
  { const auto lock = take_lock(disk, 1); }
  const std::string path = lock_path(kRun, 1);
  const auto whole = disk.bytes(path);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const auto flip : {std::byte{0x01}, std::byte{0x20}, std::byte{0x80}}) {
      MemoryFileSystem again;
      again.make_directory(kRun);
      auto damaged = whole;
      damaged[i] ^= flip;
      const auto file = again.create(path);
      file->append(damaged);
      ASSERT_EQ(take_lock(again, 2)->attempt(), 2u) << "byte " << i;
    }
  }
  for (std::size_t length = 0; length < whole.size(); ++length) {
    MemoryFileSystem again;
    again.make_directory(kRun);
    again.create(path)->append(std::span(whole).first(length));
    ASSERT_EQ(take_lock(again, 2)->attempt(), 2u) << "cut to " << length;
  }
}

}  // namespace
}  // namespace pathline::checkpoint

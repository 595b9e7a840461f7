// SPDX-License-Identifier: Apache-2.0
// The proof of docs/formats/checkpoint.md: whatever fails, is killed, filled up or loses power, at any call, what was
// committed stays and the next start goes on from it without litter.
#include <gtest/gtest.h>

#include <iostream>
#include <string>
#include <vector>

#include "apps/checkpoint/weights_file.h"
#include "core/error.h"
#include "core/log.h"
#include "core/safetensors.h"
#include "tests/checkpoint/crash_fixture.h"

namespace pathline::checkpoint {
namespace {

/// Says how many points there were in all.
class Counted final : public testing::Environment {
 public:
  static inline int total = 0;
  void SetUp() override { core::configure_log({0, 1, "", core::LogLevel::kError}); }  // thousands of warnings are due
  void TearDown() override { std::cout << "crash points enumerated in all: " << total << "\n"; }
};
[[maybe_unused]] const auto* const counted = testing::AddGlobalTestEnvironment(new Counted);

void enumerated(int points, int at_least) {
  testing::Test::RecordProperty("crash_points", points);
  std::cout << "crash points: " << points << "\n";
  Counted::total += points;
  EXPECT_GE(points, at_least);
}

void save_alone_into(core::FileSystem& files, const Sample& sample, std::uint64_t attempt) {
  save_alone(files, kDirectory, sample, attempt);
}

/// A run that has been started, with the lock of a process that is gone.
void make_run(core::FileSystem& disk) { take_lock(disk, 1).reset(); }

/// The same step again, with other bytes: what a run does that went back and skipped a window.
Sample same_step_other_bytes() {
  Sample sample = small_sample(2);
  sample.state.step = 1;
  return sample;
}

/// `second` is saved over an earlier `first`.
Deed saving(int ranks, const Sample& first, const Sample& second) {
  Deed deed;
  deed.name = core::concat("save on ", ranks, " ranks");
  deed.ranks = ranks;
  deed.before = [first](MemoryFileSystem& disk) {
    make_run(disk);
    save_alone_into(disk, first, 1);
  };
  deed.act = [second](core::FileSystem& files, const Collectives& all) {
    save(files, kDirectory, second.state, second.tensors, second.segments(all.rank, all.ranks, 8), 2, all);
  };
  deed.may_hold = {first, second};
  deed.holds_when_done = second;
  return deed;
}

TEST(CrashPoints, OfASaveAlone) {
  enumerated(CrashPoints(saving(1, small_sample(1), small_sample(2))).enumerate(), 500);
}
TEST(CrashPoints, OfASaveOnTwoRanks) {
  enumerated(CrashPoints(saving(2, small_sample(1), small_sample(2))).enumerate(), 800);
}
TEST(CrashPoints, OfASaveOnThreeRanks) {
  enumerated(CrashPoints(saving(3, small_sample(1), small_sample(2))).enumerate(), 1000);
}
TEST(CrashPoints, OfSavingAStepAgain) {
  enumerated(CrashPoints(saving(1, small_sample(1), same_step_other_bytes())).enumerate(), 500);
  enumerated(CrashPoints(saving(2, small_sample(1), same_step_other_bytes())).enumerate(), 800);
}
TEST(CrashPoints, OfASaveThatFailedAndIsKilledWhileItTidiesUp) {
  enumerated(CrashPoints(saving(1, small_sample(1), small_sample(2))).enumerate_pairs(), 700);
}

void read_all(core::FileSystem& files, const std::string& directory, const Sample& sample) {
  PL_CHECK(holds(Reader(files, directory), sample), core::ExitCode::kInternal, directory, " holds other bytes");
}

/// What a run does with storage between its start and its end, saving once.
void run_once(core::FileSystem& files, std::int64_t pid, const Sample& next, const Retention& policy) {
  const auto lock = take_lock(files, pid);
  files.make_directory(kDirectory);
  remove_litter(files, kDirectory);
  if (const auto found = newest_good(files, kDirectory, quiet)) {
    const Reader reader(files, *found);
    read_all(files, *found, small_sample(reader.state().step));
    set_aside_after(files, kDirectory, reader.state().step);
  }
  save(files, kDirectory, next.state, next.tensors, next.segments(0, 1, 16), lock->attempt(), Collectives{},
       [&] { return lock->still_ours(); });
  for (const auto step : to_delete(list(files, kDirectory), policy)) {
    delete_checkpoint(files, core::concat(kDirectory, "/step-", step));
  }
}

/// A returned start has not gone back behind what was there.
void nothing_aside(MemoryFileSystem& disk, bool) {
  for (const auto& name : disk.list(kDirectory)) ASSERT_FALSE(name.starts_with("aside-")) << name;
}

TEST(CrashPoints, OfAFirstStart) {
  Deed deed;
  deed.name = "first start";
  deed.before = [](MemoryFileSystem&) {};
  deed.act = [](core::FileSystem& files, const Collectives&) { run_once(files, 2, small_sample(1), {}); };
  deed.may_hold = {small_sample(1)};
  deed.or_none = true;
  deed.holds_when_done = small_sample(1);
  enumerated(CrashPoints(deed).enumerate(), 1000);
}

/// What dead attempts may leave: a save half done, a deletion half done, superseded checkpoints that are needed and
/// that are not, temporary files of everybody.
void make_litter(MemoryFileSystem& disk) {
  make_run(disk);
  for (const int step : {1, 2, 3}) save_alone_into(disk, small_sample(step), 1);
  disk.rename(kDirectory + "/step-3", kDirectory + "/step-3.superseded-1");
  save_alone_into(disk, small_sample(2), 1);  // supersedes one that is not needed
  disk.make_directory(kDirectory + "/step-4.1.tmp");
  disk.make_directory(kDirectory + "/step-0");
  for (const auto* path : {"checkpoints/step-4.1.tmp/rank-0.safetensors", "checkpoints/step-0/rank-0.safetensors",
                           "checkpoints/latest.tmp", "lock.1.tmp", "lock.node7.17.3.tmp"}) {
    const auto file = disk.create(kRun + "/" + path);
    file->append(std::as_bytes(std::span(std::string_view(path))));
    file->sync();
  }
  for (const std::string& path : {kDirectory + "/step-4.1.tmp", kDirectory + "/step-0", kDirectory, kRun})
    disk.sync_directory(path);
}

TEST(CrashPoints, OfALaterStartAmongLitter) {
  Deed deed;
  deed.name = "start among litter";
  deed.before = make_litter;
  deed.act = [](core::FileSystem& files, const Collectives&) { run_once(files, 2, small_sample(4), {.keep_last = 2}); };
  deed.may_hold = {small_sample(3), small_sample(4)};
  deed.holds_when_done = small_sample(4);
  deed.check = nothing_aside;
  enumerated(CrashPoints(deed).enumerate(), 2000);
}

TEST(CrashPoints, OfADeletion) {
  Deed deed;
  deed.name = "deletion";
  deed.before = [](MemoryFileSystem& disk) {
    make_run(disk);
    save_alone_into(disk, small_sample(1), 1);
    save_alone_into(disk, same_step_other_bytes(), 1);  // with a superseded one beside it
    for (const int step : {2, 3}) save_alone_into(disk, small_sample(step), 1);
  };
  const auto act = [](core::FileSystem& files) {
    for (const auto step : to_delete(list(files, kDirectory), {.keep_last = 1})) {
      delete_checkpoint(files, core::concat(kDirectory, "/step-", step));
    }
  };
  deed.act = [act](core::FileSystem& files, const Collectives&) { act(files); };
  deed.may_hold = {small_sample(3)};
  deed.check = [act](MemoryFileSystem& disk, bool) {  // the next time deletes what is left
    act(disk);
    ASSERT_EQ(list(disk, kDirectory).size(), 1u);
  };
  enumerated(CrashPoints(deed).enumerate(), 240);
}

TEST(CrashPoints, OfLeavingABranch) {
  Deed deed;
  deed.name = "leaving a branch";
  deed.before = [](MemoryFileSystem& disk) {
    make_run(disk);
    for (const int step : {1, 2, 3}) save_alone_into(disk, small_sample(step), 1);
  };
  deed.act = [](core::FileSystem& files, const Collectives&) { set_aside_after(files, kDirectory, 1); };
  deed.may_hold = {small_sample(1), small_sample(2), small_sample(3)};  // some may not be aside yet
  deed.holds_when_done = small_sample(1);
  enumerated(CrashPoints(deed).enumerate(), 60);
}

TEST(CrashPoints, OfReadingAlone) {
  Deed deed;
  deed.name = "reading";
  deed.before = [](MemoryFileSystem& disk) {
    make_run(disk);
    for (const int step : {1, 2}) save_alone_into(disk, small_sample(step), 1);
  };
  deed.act = [](core::FileSystem& files, const Collectives&) {
    read_all(files, resolve(files, kRun), small_sample(2));
  };
  deed.may_hold = {small_sample(2)};
  enumerated(CrashPoints(deed).enumerate(), 100);
}

/// The weights in `path` are whole if they are there; then another attempt succeeds and leaves nothing beside them.
void expect_whole_or_absent(core::FileSystem& disk, const std::string& path, const std::string& whole, bool there) {
  ASSERT_TRUE(disk.exists(path) || !there);
  ASSERT_TRUE(!disk.exists(path) || core::read_text(disk, path) == whole);
}

TEST(CrashPoints, OfAnExport) {
  const auto act = [](core::FileSystem& files) {
    apps::export_weights(files, Reader(files, resolve(files, kRun)), "master", "/out/w.safetensors");
  };
  Deed deed;
  deed.name = "export";
  deed.before = [](MemoryFileSystem& disk) {
    make_run(disk);
    save_alone_into(disk, small_sample(1), 1);
    disk.make_directory("/out");
    disk.sync_directory("/");
  };
  deed.act = [act](core::FileSystem& files, const Collectives&) { act(files); };
  deed.may_hold = {small_sample(1)};
  MemoryFileSystem untroubled;
  deed.before(untroubled);
  act(untroubled);
  const std::string whole = core::read_text(untroubled, "/out/w.safetensors");
  deed.check = [act, whole](MemoryFileSystem& disk, bool returned) {
    ASSERT_NO_FATAL_FAILURE(expect_whole_or_absent(disk, "/out/w.safetensors", whole, returned));
    act(disk);
    ASSERT_EQ(disk.list("/out"), std::vector<std::string>{"w.safetensors"});
    ASSERT_EQ(core::read_text(disk, "/out/w.safetensors"), whole);
  };
  enumerated(CrashPoints(deed).enumerate(), 200);
}

TEST(CrashPoints, OfAnImport) {
  const std::string weights(100'000, 'w');
  const auto act = [](core::FileSystem& files) {
    apps::import_weights(files, "/in/w.safetensors", "/in/recipe.toml", "", "/runs/new");
  };
  Deed deed;
  deed.name = "import";
  deed.before = [](MemoryFileSystem& disk) {
    make_run(disk);
    save_alone_into(disk, small_sample(1), 1);
    disk.make_directory("/in");
    disk.sync_directory("/");
    core::replace_file(disk, "/in/recipe.toml", "[train]\nsteps = 10\n");
    apps::export_weights(disk, Reader(disk, resolve(disk, kRun)), "master", "/in/w.safetensors");
  };
  deed.act = [act](core::FileSystem& files, const Collectives&) { act(files); };
  deed.may_hold = {small_sample(1)};
  deed.check = [act](MemoryFileSystem& disk, bool returned) {
    const std::string whole = core::read_text(disk, "/in/w.safetensors");
    // A recipe that is there names weights that are whole.
    const bool there = returned || disk.exists("/runs/new/recipe.toml");
    ASSERT_NO_FATAL_FAILURE(expect_whole_or_absent(disk, "/runs/new/init.safetensors", whole, there));
    act(disk);
    ASSERT_EQ(disk.list("/runs/new"), (std::vector<std::string>{"init.safetensors", "recipe.toml"}));
  };
  enumerated(CrashPoints(deed).enumerate(), 300);
}

TEST(CrashPoints, AnErrorSaysWhatTheStorageSaid) {
  for (const int reason : {EIO, ENOSPC, ESTALE}) {
    for (int k = 0; k < 12; ++k) {
      MemoryFileSystem disk;
      make_run(disk);
      FaultyFileSystem faulty(disk, Fault{Fault::Kind::kError, k, reason});
      try {
        save_alone_into(faulty, small_sample(1), 1);
        FAIL() << "saved in spite of an error at call " << k;
      } catch (const core::Error& error) {
        EXPECT_EQ(error.code(), core::ExitCode::kEnvironment);
        EXPECT_NE(std::string(error.what()).find(std::generic_category().message(reason)), std::string::npos)
            << error.what();
      }
    }
  }
}

TEST(CrashPoints, ALostAnswerToTheCommitIsASuccess) {
  int successes = 0;
  for (int k = 0;; ++k) {
    MemoryFileSystem disk;
    make_run(disk);
    FaultyFileSystem faulty(disk, Fault{Fault::Kind::kErrorAfter, k});
    std::string last;
    faulty.before_calls([&](int number, const std::string& what) {
      if (number == k) last = what;
    });
    try {
      save_alone_into(faulty, small_sample(1), 1);
      if (faulty.calls() <= k) break;
      EXPECT_NE(last.find(".tmp to"), std::string::npos) << last;
      ++successes;
    } catch (const core::Error&) {
    }
  }
  EXPECT_EQ(successes, 1);  // of all calls only this rename may fail without the save failing
}

}  // namespace
}  // namespace pathline::checkpoint

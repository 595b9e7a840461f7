// SPDX-License-Identifier: Apache-2.0
// Time stands still in these tests unless a lock sleeps; what happens meanwhile is a function of the test.
#include "checkpoint/run_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "checkpoint/lock_file.h"
#include "core/error.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/temporary_directory.h"

namespace pathline::checkpoint {
namespace {

using tests::MemoryFileSystem;

constexpr double kNeverBeats = 1e6;  // the thread of a lock under test keeps out of the way

/// A process of the test's world: `host` and `pid`, every process alive unless it is in `dead`.
struct World {
  double now = 0;
  std::vector<std::int64_t> dead;
  std::function<void()> meanwhile = [] {};  // whenever somebody sleeps
  int sleeps = 0;

  LockSurroundings process(const std::string& host, std::int64_t pid) {
    LockSurroundings us;
    us.host = host;
    us.boot = "boot-of-" + host;
    us.pid_namespace = "pid:[1]";
    us.pid = pid;
    us.start_time = static_cast<std::uint64_t>(1000 + pid);
    us.start_time_of = [this](std::int64_t other) -> std::uint64_t {
      for (const auto one : dead) {
        if (one == other) return 0;
      }
      return static_cast<std::uint64_t>(1000 + other);
    };
    us.seconds = [this] { return now; };
    us.sleep = [this](double seconds) {
      now += seconds;
      ++sleeps;
      meanwhile();
    };
    return us;
  }

  LockSurroundings slurm(const std::string& host, std::int64_t pid, const std::string& job, std::uint64_t restart) {
    LockSurroundings us = process(host, pid);
    us.slurm_job = job;
    us.slurm_restart = restart;
    return us;
  }
};

std::unique_ptr<RunLock> take(core::FileSystem& files, const LockSurroundings& us) {
  return std::make_unique<RunLock>(files, "/run", kNeverBeats, us);
}

/// A lock file whose owner was killed: nothing moves or releases it.
void leave_behind(core::FileSystem& files, const LockSurroundings& owner, std::uint64_t attempt) {
  files.make_directory("/run");
  LockContent content{attempt,     false,           9,
                      kNeverBeats, owner.slurm_job, owner.slurm_restart,
                      owner.host,  owner.boot,      owner.pid_namespace,
                      owner.pid,   owner.start_time};
  core::replace_file(files, lock_path("/run", attempt), lock_text(content));
}

TEST(RunLock, AttemptsRiseAlsoAfterAReleaseAndOneFileStays) {
  MemoryFileSystem files;
  World world;
  for (std::uint64_t attempt = 1; attempt <= 4; ++attempt) {
    const auto lock = take(files, world.process("a", 1));
    EXPECT_EQ(lock->attempt(), attempt);
    EXPECT_TRUE(lock->still_ours());
    EXPECT_EQ(files.list("/run"), (std::vector<std::string>{"lock." + std::to_string(attempt)}));
  }
  EXPECT_EQ(world.sleeps, 0);
}

TEST(RunLock, ALivingOwnerIsNotDisturbedAndNamed) {
  MemoryFileSystem files;
  World world;
  const auto owner = take(files, world.process("node7", 41));
  world.meanwhile = [&] { owner->beat(); };
  try {
    take(files, world.process("node8", 42));
    FAIL() << "two owners";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kEnvironment);
    EXPECT_NE(std::string(error.what()).find("process 41 on node7"), std::string::npos) << error.what();
  }
  EXPECT_TRUE(owner->still_ours());
  EXPECT_EQ(files.list("/run"), std::vector<std::string>{"lock.1"});
}

TEST(RunLock, AnOwnerThatStandsStillForThreeIntervalsIsSucceeded) {
  MemoryFileSystem files;
  World world;
  const auto owner = take(files, world.process("a", 1));
  const auto next = take(files, world.process("b", 2));
  EXPECT_EQ(next->attempt(), 2u);
  EXPECT_GE(world.now, 3 * kNeverBeats);
  EXPECT_TRUE(next->still_ours());
  EXPECT_FALSE(owner->still_ours());
}

TEST(RunLock, OneLastBeatOfADyingOwnerOnlyDelaysTheSuccessor) {
  MemoryFileSystem files;
  World world;
  const auto owner = take(files, world.process("a", 1));
  world.meanwhile = [&] {
    if (world.sleeps == 2) owner->beat();
  };
  EXPECT_EQ(take(files, world.process("b", 2))->attempt(), 2u);
  EXPECT_EQ(world.now, 4 * kNeverBeats);
}

/// The world's clock goes on by `seconds` while storage holds up the look after sleep number `sleep`.
void stall(tests::FaultyFileSystem& files, World& world, int sleep, double seconds) {
  files.before_calls([&world, sleep, seconds, once = true](int, const std::string&) mutable {
    if (world.sleeps == sleep && std::exchange(once, false)) world.now += seconds;
  });
}

TEST(RunLock, AStallOfStorageDoesNotMakeALivingOwnerStale) {
  MemoryFileSystem files;
  World world;
  const auto owner = take(files, world.process("a", 1));
  world.meanwhile = [&] {
    if (world.sleeps > 1) owner->beat();  // its beats were held up as well
  };
  tests::FaultyFileSystem slow(files);
  stall(slow, world, 1, 100 * kNeverBeats);
  EXPECT_THROW(take(slow, world.process("b", 2)), core::Error);
  EXPECT_TRUE(owner->still_ours());
}

TEST(RunLock, AStallOfStorageCountsAsOneIntervalOfAnOwnerThatIsGone) {
  MemoryFileSystem files;
  World world;
  leave_behind(files, world.process("a", 1), 5);
  tests::FaultyFileSystem slow(files);
  stall(slow, world, 2, 100 * kNeverBeats);
  EXPECT_EQ(take(slow, world.process("b", 2))->attempt(), 6u);
  EXPECT_EQ(world.sleeps, 6);
}

TEST(RunLock, ACandidateThatWasSuspendedDoesNotFindALivingOwnerStale) {
  MemoryFileSystem files;
  World world;
  const auto owner = take(files, world.process("a", 1));
  world.meanwhile = [&] {
    if (world.sleeps == 1) world.now += 100 * kNeverBeats;  // with the whole host, the owner's process, too
    if (world.sleeps > 1) owner->beat();
  };
  EXPECT_THROW(take(files, world.process("b", 2)), core::Error);
  EXPECT_TRUE(owner->still_ours());
}

TEST(RunLock, AFormerOwnersBeatAndReleaseDoNotBringItBack) {
  MemoryFileSystem files;
  World world;
  auto owner = take(files, world.process("a", 1));
  const auto next = take(files, world.process("b", 2));
  owner->beat();
  owner.reset();
  EXPECT_EQ(files.list("/run"), std::vector<std::string>{"lock.2"});
  // A beat that looked before the takeover and wrote after it:
  leave_behind(files, world.process("a", 1), 1);
  EXPECT_TRUE(next->still_ours());
  EXPECT_EQ(highest_lock(files, "/run"), 2u);
}

TEST(RunLock, ADeadProcessOfThisHostIsSucceededAtOnce) {
  MemoryFileSystem files;
  World world;
  world.dead = {17};
  leave_behind(files, world.process("a", 17), 5);
  EXPECT_EQ(take(files, world.process("a", 18))->attempt(), 6u);
  EXPECT_EQ(world.sleeps, 0);
}

TEST(RunLock, AProcessIdThatWasGivenAgainDoesNotCountAsTheOwner) {
  MemoryFileSystem files;
  World world;
  LockSurroundings former = world.process("a", 17);
  former.start_time -= 1;
  leave_behind(files, former, 5);
  EXPECT_EQ(take(files, world.process("a", 18))->attempt(), 6u);
  EXPECT_EQ(world.sleeps, 0);
}

TEST(RunLock, AProcessOfAnotherHostBootOrPidNamespaceIsWatchedFirst) {
  for (int difference = 0; difference < 3; ++difference) {
    MemoryFileSystem files;
    World world;
    world.dead = {17};
    LockSurroundings former = world.process("a", 17);
    (difference == 0 ? former.host : difference == 1 ? former.boot : former.pid_namespace) = "other";
    leave_behind(files, former, 5);
    EXPECT_EQ(take(files, world.process("a", 18))->attempt(), 6u);
    EXPECT_GT(world.sleeps, 0) << difference;
  }
}

TEST(RunLock, ARequeuedJobSucceedsItselfAtOnce) {
  MemoryFileSystem files;
  World world;
  leave_behind(files, world.slurm("a", 1, "77", 0), 3);
  EXPECT_EQ(take(files, world.slurm("b", 2, "77", 1))->attempt(), 4u);
  EXPECT_EQ(world.sleeps, 0);
}

TEST(RunLock, AnotherJobOrTheSameStartOfOursIsWatched) {
  for (const auto& [job, restart] : {std::pair<std::string, std::uint64_t>{"78", 5}, {"77", 0}, {"", 9}}) {
    MemoryFileSystem files;
    World world;
    leave_behind(files, world.slurm("a", 1, "77", 0), 3);
    take(files, world.slurm("b", 2, job, restart));
    EXPECT_GT(world.sleeps, 0) << job;
  }
}

TEST(RunLock, TornContentIsSucceededOnlyAfterStandingStill) {
  for (const std::string content : {"", "{\"format\"", "[1,2]", "{\"format\":\"pathline-run-lock\",\"version\":2}"}) {
    MemoryFileSystem files;
    World world;
    files.make_directory("/run");
    core::replace_file(files, "/run/lock.8", content);
    EXPECT_EQ(take(files, world.process("a", 1))->attempt(), 9u);
    EXPECT_GT(world.sleeps, 0);
  }
}

/// Runs `rival` just before the first link(), that is after we found the lock stale and before we take it.
void overtake(tests::FaultyFileSystem& files, std::function<void()> rival) {
  files.before_calls([rival = std::move(rival)](int, const std::string& what) mutable {
    if (!what.starts_with("cannot link")) return;
    if (const auto once = std::exchange(rival, nullptr)) once();
  });
}

TEST(RunLock, WhoIsOvertakenWhileTakingAStaleLockIsRefused) {
  MemoryFileSystem files;
  World world;
  world.dead = {17};
  leave_behind(files, world.process("a", 17), 5);
  std::unique_ptr<RunLock> rival;
  tests::FaultyFileSystem slow(files);
  overtake(slow, [&] { rival = take(files, world.process("a", 18)); });
  world.meanwhile = [&] { rival->beat(); };
  EXPECT_THROW(take(slow, world.process("a", 19)), core::Error);
  EXPECT_EQ(rival->attempt(), 6u);
  EXPECT_TRUE(rival->still_ours());
}

TEST(RunLock, AnOldListingDoesNotMakeAFormerNumberTheOwner) {
  // We found 5 stale; meanwhile 6 came and went, and 7 came and removed 6: link() to 6 succeeds and must not count.
  MemoryFileSystem files;
  World world;
  world.dead = {17};
  leave_behind(files, world.process("a", 17), 5);
  std::unique_ptr<RunLock> rival;
  tests::FaultyFileSystem slow(files);
  overtake(slow, [&] {
    take(files, world.process("a", 18)).reset();
    rival = take(files, world.process("a", 20));
  });
  world.meanwhile = [&] { rival->beat(); };
  EXPECT_THROW(take(slow, world.process("a", 19)), core::Error);
  EXPECT_EQ(rival->attempt(), 7u);
  EXPECT_TRUE(rival->still_ours());
  EXPECT_EQ(files.list("/run"), std::vector<std::string>{"lock.7"});
}

TEST(RunLock, OfManyThreadsThatRaceForAStaleLockExactlyOneWins) {
  for (int round = 0; round < 20; ++round) {
    MemoryFileSystem files;
    World stale_world;
    leave_behind(files, stale_world.process("a", 17), 5);
    std::mutex mutex;
    std::condition_variable changed;
    std::unique_ptr<RunLock> winner;
    std::atomic<int> refused = 0;
    std::vector<World> worlds(4);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      worlds[static_cast<std::size_t>(i)].dead = {17};
      // Whoever watches sees the winner beat, however late the winner's thread runs.
      worlds[static_cast<std::size_t>(i)].meanwhile = [&] {
        std::unique_lock guard(mutex);
        changed.wait(guard, [&] { return winner != nullptr; });
        winner->beat();
      };
      threads.emplace_back([&, i] {
        try {
          auto lock = take(files, worlds[static_cast<std::size_t>(i)].process("a", 100 + i));
          const std::lock_guard guard(mutex);
          EXPECT_EQ(winner, nullptr);
          winner = std::move(lock);
          changed.notify_all();
        } catch (const core::Error&) {
          ++refused;
        }
      });
    }
    for (auto& thread : threads) thread.join();
    ASSERT_NE(winner, nullptr);
    EXPECT_EQ(refused, 3);
    EXPECT_EQ(winner->attempt(), 6u);
    EXPECT_TRUE(winner->still_ours());
  }
}

TEST(RunLock, AKilledProcessIsRecognisedByTheKernelsTable) {
  const tests::TemporaryDirectory directory;
  core::PosixFileSystem files;
  const pid_t child = ::fork();
  if (child == 0) {
    RunLock lock(files, directory.path());
    ::_exit(0);  // without release
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  LockSurroundings us = real_surroundings();
  us.sleep = [](double) { FAIL() << "a dead process of this host was watched"; };
  RunLock lock(files, directory.path(), 5.0, us);
  EXPECT_EQ(lock.attempt(), 2u);
}

TEST(RunLock, ItsThreadMovesTheCounter) {
  const tests::TemporaryDirectory directory;
  core::PosixFileSystem files;
  RunLock lock(files, directory.path(), 0.001);
  const auto counter = [&] { return parse_lock(core::read_text(files, lock_path(directory.path(), 1)))->counter; };
  const std::uint64_t before = counter();
  while (counter() < before + 2) std::this_thread::yield();  // ends by the test's time limit if nothing moves
}

}  // namespace
}  // namespace pathline::checkpoint

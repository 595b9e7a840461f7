// SPDX-License-Identifier: Apache-2.0
// Every crash point of something done with storage: each call of each rank meets each fault in turn, on a fresh disk;
// after each the world must be in order and the next start must find it so.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest.h"
#include "checkpoint/run_lock.h"
#include "cluster/thread_communicator.h"
#include "tests/checkpoint/checkpoint_fixture.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"

namespace pathline::checkpoint {

using tests::Fault;
using tests::FaultyFileSystem;
using tests::MemoryFileSystem;

inline const std::string kRun = "/runs/a", kDirectory = "/runs/a/checkpoints";

inline void quiet(const std::string&) {}

/// A process that sees every other as ended, on a clock of its own.
inline LockSurroundings process(std::int64_t pid) {
  LockSurroundings us;
  us.host = "node1";
  us.boot = "boot";
  us.pid_namespace = "pid:[1]";
  us.pid = pid;
  us.start_time = static_cast<std::uint64_t>(1000 + pid);
  us.start_time_of = [](std::int64_t) -> std::uint64_t { return 0; };
  const auto now = std::make_shared<double>(0);
  us.seconds = [now] { return *now; };
  us.sleep = [now](double seconds) { *now += seconds; };
  return us;
}

inline std::unique_ptr<RunLock> take_lock(core::FileSystem& files, std::int64_t pid) {
  constexpr double kNeverBeats = 1e6;
  return std::make_unique<RunLock>(files, kRun, kNeverBeats, process(pid));
}

/// Throws once the rank has been killed: the others learn that it is lost, and nothing else.
inline Collectives mortal(const Collectives& all, const FaultyFileSystem& disk) {
  const auto live = [&disk] {
    if (disk.stopped()) throw core::Error(core::ExitCode::kRankLost, "this rank was killed");
  };
  Collectives mine = all;
  mine.barrier = [live, barrier = all.barrier] {
    live();
    barrier();
  };
  mine.broadcast = [live, broadcast = all.broadcast](const std::string& text) {
    live();
    return broadcast(text);
  };
  mine.gather = [live, gather = all.gather](const std::string& text) {
    live();
    return gather(text);
  };
  return mine;
}

/// A deed whose crash points are enumerated.
struct Deed {
  std::string name;
  int ranks = 1;
  std::function<void(MemoryFileSystem&)> before;                   // makes the disk
  std::function<void(core::FileSystem&, const Collectives&)> act;  // on every rank
  /// The newest checkpoint afterwards is one of these; none is in order, too, if `or_none`.
  std::vector<Sample> may_hold;
  bool or_none = false;
  std::optional<Sample> holds_when_done;  // what it must be if all ranks returned
  std::function<void(MemoryFileSystem&, bool returned)> check = [](MemoryFileSystem&, bool) {};  // more, right after
};

/// What is left of unsynced changes when a process was killed: all (the machine lives), none, or what a key chooses.
struct Aftermath {
  bool power_loss = false;
  std::uint64_t key = 0;  // 0: nothing unsynced survives
};

inline std::vector<Aftermath> aftermaths() {
  std::vector<Aftermath> all = {{false, 0}};
  for (std::uint64_t key = 0; key <= 6; ++key) all.push_back({true, key});
  return all;
}

/// Names that may be in checkpoints/ after a start has tidied up: latest, whole steps, and what was set aside.
inline void expect_no_litter(core::FileSystem& files) {
  for (const auto& name : files.list(kRun)) {
    ASSERT_TRUE(name == "checkpoints" || (name.starts_with("lock.") && !name.ends_with(".tmp"))) << name;
  }
  std::set<std::string> steps;
  for (const auto& one : list(files, kDirectory)) steps.insert(core::name_of(one.directory));
  for (const auto& name : files.list(kDirectory)) {
    ASSERT_TRUE(name == "latest" || name.starts_with("aside-") || steps.contains(name)) << name;
  }
}

inline std::vector<std::string> locks(core::FileSystem& files) {
  std::vector<std::string> names = files.list(kRun);
  std::erase_if(names, [](const std::string& name) { return !name.starts_with("lock."); });
  return names;
}

class CrashPoints {
 public:
  explicit CrashPoints(Deed deed) : deed_(std::move(deed)) {}

  /// Returns how many points there were. One past the last call is none failing: what was done must outlive power, too.
  int enumerate() {
    std::vector<int> calls;
    std::vector<std::vector<int>> appends;
    count(calls, appends);
    for (int rank = 0; rank < deed_.ranks; ++rank) {
      const auto r = static_cast<std::size_t>(rank);
      for (int k = 0; k <= calls[r] && !testing::Test::HasFatalFailure(); ++k) {
        const bool append = std::ranges::find(appends[r], k) != appends[r].end();
        for (const Fault& fault : faults_at(k, append)) {
          for (const auto& after : fault.kind == Fault::Kind::kStop ? aftermaths() : std::vector<Aftermath>{{}}) {
            point(rank, {fault}, after);
            if (testing::Test::HasFatalFailure()) return points_;
          }
        }
      }
    }
    return points_;
  }

  /// An error at every call, and the process killed at every call after that.
  int enumerate_pairs() {
    std::vector<int> calls;
    std::vector<std::vector<int>> appends;
    count(calls, appends);
    for (int first = 0; first < calls[0]; ++first) {
      for (int second = first + 1; second < calls[0]; ++second) {
        for (const auto& after : {Aftermath{false, 0}, Aftermath{true, 0}}) {
          point(0, {{Fault::Kind::kError, first, EIO}, {Fault::Kind::kStop, second, EIO}}, after);
          if (testing::Test::HasFatalFailure()) return points_;
        }
      }
    }
    return points_;
  }

 private:
  static std::vector<Fault> faults_at(int k, bool append) {
    std::vector<Fault> all;
    const std::vector<double> shares = append ? std::vector<double>{0, 0.01, 0.5, 0.99, 1} : std::vector<double>{0};
    for (const double written : shares) {
      for (const int reason : {EIO, ENOSPC, ESTALE}) all.push_back({Fault::Kind::kError, k, reason, written});
      all.push_back({Fault::Kind::kFull, k, ENOSPC, written});
      all.push_back({Fault::Kind::kStop, k, EIO, written});
    }
    for (const int reason : {EIO, ESTALE}) all.push_back({Fault::Kind::kErrorAfter, k, reason});
    return all;
  }

  void count(std::vector<int>& calls, std::vector<std::vector<int>>& appends) {
    MemoryFileSystem disk;
    deed_.before(disk);
    calls.resize(static_cast<std::size_t>(deed_.ranks));
    appends.resize(calls.size());
    cluster::run_on_threads(deed_.ranks, [&](cluster::Communicator& ranks) {
      FaultyFileSystem counting(disk);
      deed_.act(counting, collectives_of(ranks));
      calls[static_cast<std::size_t>(ranks.rank())] = counting.calls();
      appends[static_cast<std::size_t>(ranks.rank())] = counting.appends();
    });
  }

  /// Which ranks came back from the deed; a killed one did not.
  std::vector<char> act(MemoryFileSystem& disk, int faulty_rank, const std::vector<Fault>& faults) {
    std::vector<char> returned(static_cast<std::size_t>(deed_.ranks), 0);
    try {
      cluster::run_on_threads(deed_.ranks, [&](cluster::Communicator& ranks) {
        FaultyFileSystem mine(disk, ranks.rank() == faulty_rank ? faults : std::vector<Fault>{});
        deed_.act(mine, mortal(collectives_of(ranks), mine));
        returned[static_cast<std::size_t>(ranks.rank())] = !mine.stopped();
      });
    } catch (const core::Error& error) {
      EXPECT_NE(error.code(), core::ExitCode::kInternal) << error.what();
    }
    return returned;
  }

  void point(int rank, const std::vector<Fault>& faults, const Aftermath& after) {
    ++points_;
    const Fault& fault = faults.front();
    SCOPED_TRACE(core::concat(deed_.name, ": rank ", rank, ", call ", fault.at, ", kind ", static_cast<int>(fault.kind),
                              ", errno ", fault.reason, ", written ", fault.written,
                              faults.size() > 1 ? core::concat(", killed at ", faults[1].at) : "",
                              after.power_loss ? core::concat(", power loss ", after.key) : ""));
    MemoryFileSystem disk;
    deed_.before(disk);
    const auto returned = act(disk, rank, faults);
    const bool all = std::ranges::count(returned, 1) == deed_.ranks;
    const bool killed = faults.back().kind == Fault::Kind::kStop;
    ASSERT_TRUE(killed || all || std::ranges::count(returned, 1) == 0) << "some ranks believe it done, others not";
    if (after.power_loss) after.key == 0 ? disk.lose_unsynced() : disk.lose_some_unsynced(after.key);
    const auto may_hold = all && deed_.holds_when_done ? std::vector<Sample>{*deed_.holds_when_done} : deed_.may_hold;
    ASSERT_NO_FATAL_FAILURE(deed_.check(disk, all));
    ASSERT_NO_FATAL_FAILURE(expect_order(disk, may_hold, deed_.or_none && !all));
    ASSERT_NO_FATAL_FAILURE(start_again(disk, may_hold, deed_.or_none && !all));
  }

  /// The newest is one of `may_hold`, bit by bit, and whatever counts as a checkpoint is whole.
  static void expect_order(core::FileSystem& disk, const std::vector<Sample>& may_hold, bool or_none) {
    const auto newest = newest_good(disk, kDirectory, quiet);
    ASSERT_TRUE(newest || or_none) << "no checkpoint";
    if (newest) {
      const Reader reader(disk, *newest);
      ASSERT_TRUE(std::ranges::any_of(may_hold, [&](const Sample& one) { return holds(reader, one); })) << *newest;
    }
    for (const auto& one : list(disk, kDirectory)) {
      ASSERT_EQ(Reader(disk, one.directory).verify(), std::vector<std::string>{}) << one.directory;
    }
  }

  /// The next start tidies up, goes on from the same checkpoint and saves another one.
  static void start_again(core::FileSystem& disk, const std::vector<Sample>& may_hold, bool or_none) {
    const auto lock = take_lock(disk, 99);
    ASSERT_EQ(locks(disk), std::vector<std::string>{core::concat("lock.", lock->attempt())});
    remove_litter(disk, kDirectory);
    disk.make_directory(kDirectory);
    ASSERT_NO_FATAL_FAILURE(expect_order(disk, may_hold, or_none));
    ASSERT_NO_FATAL_FAILURE(expect_no_litter(disk));
    const Sample next = small_sample(1000);
    save_alone(disk, kDirectory, next, lock->attempt());
    ASSERT_TRUE(holds(Reader(disk, resolve(disk, kRun)), next));
    ASSERT_EQ(core::read_text(disk, core::join_path(kDirectory, "latest")), "step-1000\n");
    ASSERT_NO_FATAL_FAILURE(expect_no_litter(disk));
  }

  Deed deed_;
  int points_ = 0;
};

}  // namespace pathline::checkpoint

// SPDX-License-Identifier: Apache-2.0
// The watchdog over ranks that are threads: who is named, and that everybody gets away. See also watchdog_ending.cc.
#include "cluster/watchdog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "cluster/thread_communicator.h"
#include "core/error.h"
#include "core/machine.h"
#include "tests/cluster/counting_communicator.h"
#include "tests/support/temporary_directory.h"

namespace pathline::cluster {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

const Deadlines kShort{1, 0};

/// `lost` waits where nobody comes, the others in a barrier after it. Returns what was logged.
std::string hang(int ranks, int lost) {
  testing::internal::CaptureStderr();
  try {
    run_on_threads(ranks, [&](Communicator& all) {
      const auto nobody_comes = duplicate(all);
      Watchdog watchdog(all, kShort);
      watchdog.here().enter(Phase::kCompute, 7);
      if (all.rank() == lost) nobody_comes->barrier();
      watchdog.here().enter(Phase::kReduce);
      all.barrier();
    });
    ADD_FAILURE() << "nobody was missed";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kRankLost);
  }
  return testing::internal::GetCapturedStderr();
}

TEST(Watchdog, NamesTheRankThatStopsAndReleasesTheOthers) {
  for (const int lost : {0, 1, 2}) {
    EXPECT_THAT(hang(3, lost), ContainsRegex("hang: rank " + std::to_string(lost) +
                                             " \\(pid [0-9]+ on .*\\) answers, but has been stuck in step 7, compute"));
  }
  EXPECT_THAT(hang(3, 1), HasSubstr("Waiting for it: ranks 0, 2 in step 7, reduce"));
}

/// Ranks whose messages get stuck inside the library on the rank `deaf`, once it has heard of another that computes.
class StuckMessages final : public tests::CountingCommunicator {
 public:
  StuckMessages(std::unique_ptr<Communicator> ranks, int deaf)
      : CountingCommunicator(*ranks), ranks_(std::move(ranks)), deaf_(deaf) {}
  std::unique_ptr<Communicator> subset(std::span<const int> members) override {
    return std::make_unique<StuckMessages>(ranks_->subset(members), deaf_);
  }
  std::optional<int> receive_arrived(std::span<std::byte> message) override {
    if (stuck_) ranks_->barrier();  // where nobody comes
    const auto from = ranks_->receive_arrived(message);
    RankRecord record;
    std::memcpy(&record, message.data(), sizeof(record));
    stuck_ = from && rank() == deaf_ && record.phase == Phase::kCompute;
    return from;
  }

 private:
  std::unique_ptr<Communicator> ranks_;
  int deaf_;
  bool stuck_ = false;
};

TEST(Watchdog, JudgesEvenIfItsOwnMessagesAreStuck) {
  testing::internal::CaptureStderr();
  EXPECT_THROW(run_on_threads(2,
                              [](Communicator& all) {
                                const auto nobody_comes = duplicate(all);
                                StuckMessages messages(duplicate(all), 1);
                                Watchdog watchdog(messages, all.rank() == 0 ? Deadlines{8, 0} : kShort);
                                watchdog.here().enter(Phase::kCompute, 7);
                                if (all.rank() == 0) nobody_comes->barrier();
                                watchdog.here().enter(Phase::kReduce);
                                all.barrier();
                              }),
               core::Error);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("hang: rank 1 itself is stuck inside MPI; when it last heard of the others: rank 0 (pid"));
}

TEST(Watchdog, ARankThatSaysThatItGoesOnIsWaitedFor) {
  run_on_threads(3, [](Communicator& all) {
    Watchdog watchdog(all, kShort);
    watchdog.here().enter(Phase::kCompute, 1);
    const double start = core::monotonic_seconds();
    while (all.rank() == 1 && core::monotonic_seconds() - start < 2 * kShort.step) {
      watchdog.here().progress();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    watchdog.here().enter(Phase::kReduce);
    all.barrier();
  });
}

TEST(Watchdog, ZeroWaitsForEver) {
  run_on_threads(2, [](Communicator& all) {
    Watchdog watchdog(all, Deadlines{0, 0});
    all.barrier();
  });
}

TEST(Watchdog, LeavesAnErrorsWayAlone) {
  for (const int failing : {0, 1, 2}) {
    try {
      run_on_threads(3, [&](Communicator& all) {
        Watchdog watchdog(all, kShort);
        PL_CHECK(all.rank() != failing, core::ExitCode::kInput, "a bad file");
        all.barrier();
      });
      ADD_FAILURE() << "no error";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kInput);
    }
  }
}

TEST(Watchdog, KeepsAHeartbeatAFile) {
  const tests::TemporaryDirectory directory;
  core::PosixFileSystem files;
  files.make_directory(directory.path() + "/heartbeats");
  run_on_threads(3, [&](Communicator& all) {
    Watchdog watchdog(all, Deadlines{});
    watchdog.write_below(files, directory.path());
    watchdog.here().enter(Phase::kCompute, 5);
  });
  EXPECT_THAT(files.list(directory.path() + "/heartbeats"), testing::ElementsAre("rank-0", "rank-1", "rank-2"));
  const std::string text = core::read_text(files, directory.path() + "/heartbeats/rank-1");
  EXPECT_THAT(text, HasSubstr("{\"rank\":1,\"ranks\":3,\"host\":\""));
  EXPECT_THAT(text, HasSubstr("\"step\":5,\"phase\":\"end\""));
}

TEST(Watchdog, AStorageThatFailsIsNoReasonToStop) {
  core::PosixFileSystem files;
  testing::internal::CaptureStderr();
  run_on_threads(2, [&](Communicator& all) {
    Watchdog watchdog(all, Deadlines{});
    watchdog.write_below(files, "/dev/null");
  });
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("no heartbeat"));
}

TEST(Watchdog, ALastJudgeWithoutALogOfItsOwnWritesToTheRuns) {
  const tests::TemporaryDirectory directory;
  core::PosixFileSystem files;
  files.make_directory(directory.path() + "/heartbeats");
  testing::internal::CaptureStderr();
  EXPECT_THROW(run_on_threads(2,
                              [&](Communicator& all) {
                                const auto nobody_comes = duplicate(all);
                                // The first judge is more patient.
                                Watchdog watchdog(all, all.rank() == 0 ? Deadlines{4, 0} : kShort);
                                watchdog.write_below(files, directory.path());
                                watchdog.here().enter(Phase::kCompute, 7);
                                if (all.rank() == 0) nobody_comes->barrier();
                                watchdog.here().enter(Phase::kReduce);
                                all.barrier();
                              }),
               core::Error);
  testing::internal::GetCapturedStderr();
  EXPECT_THAT(core::read_text(files, directory.path() + "/log.txt"), HasSubstr("error: hang: rank 0 (pid"));
}

}  // namespace
}  // namespace pathline::cluster

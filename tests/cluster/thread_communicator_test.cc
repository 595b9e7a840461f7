// SPDX-License-Identifier: Apache-2.0
#include "cluster/thread_communicator.h"

#include <gtest/gtest.h>

#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

#include "core/error.h"

namespace pathline::cluster {
namespace {

TEST(RunOnThreads, AnErrorOnOneRankReleasesTheOthersAndIsRethrown) {
  int released = 0;
  std::mutex mutex;
  try {
    run_on_threads(4, [&](Communicator& ranks) {
      if (ranks.rank() == 2) throw std::runtime_error("rank 2 is ill");
      try {
        ranks.barrier();
      } catch (const core::Error& error) {
        EXPECT_EQ(error.code(), core::ExitCode::kRankLost);
        const std::lock_guard lock(mutex);
        ++released;
        throw;
      }
    });
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "rank 2 is ill");
  }
  EXPECT_EQ(released, 3);
}

TEST(RunOnThreads, AnErrorReleasesRanksThatWaitInASubsetOrForARequest) {
  EXPECT_THROW(run_on_threads(5,
                              [](Communicator& ranks) {
                                const int even = ranks.rank() / 2 * 2;
                                std::vector<int> both = {even};
                                if (even + 1 < ranks.size()) both.push_back(even + 1);
                                const auto pair = ranks.subset(both);
                                if (ranks.rank() == 4) throw std::out_of_range("4");
                                std::int64_t value = 0;
                                if (ranks.rank() == 0) pair->barrier();
                                if (ranks.rank() == 2) {
                                  pair->start_all_reduce(std::span(&value, 1), Reduction::kSum)->wait();
                                }
                                ranks.barrier();
                              }),
               std::out_of_range);
}

TEST(RunOnThreads, ARankThatEndsEarlyIsLostToThoseWhoWait) {
  try {
    run_on_threads(3, [](Communicator& ranks) {
      if (ranks.rank() != 1) ranks.barrier();
    });
    FAIL() << "nothing was thrown";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kRankLost);
  }
}

TEST(RunOnThreads, AbortEndsAllRanksWithItsCode) {
  try {
    run_on_threads(3, [](Communicator& ranks) {
      if (ranks.rank() == 1) ranks.abort(67);
      ranks.barrier();
    });
    FAIL() << "nothing was thrown";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kRankLost);
    EXPECT_EQ(std::string(error.what()), "Rank 1 ended all ranks with exit code 67.");
  }
}

TEST(RunOnThreads, ACancelledRankThrowsOutOfACollectiveThatNobodyElseComesTo) {
  run_on_threads(2, [](Communicator& ranks) {
    const auto same = duplicate(ranks);
    if (ranks.rank() != 0) return;
    std::thread waiting([&] {
      try {
        same->barrier();
        ADD_FAILURE() << "nothing was thrown";
      } catch (const core::Error& error) {
        EXPECT_EQ(error.code(), core::ExitCode::kRankLost);
      }
    });
    same->cancel();
    waiting.join();
  });
}

}  // namespace
}  // namespace pathline::cluster

// SPDX-License-Identifier: Apache-2.0
#include "sampler/pool/policy.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace pathline::pool {
namespace {

TEST(FairShare, NobodyIsServedWhereNobodyWaits) { EXPECT_EQ(job_to_serve({}), std::nullopt); }

TEST(FairShare, HigherPriorityGoesFirstWhateverItHolds) {
  const std::vector<JobLoad> jobs = {{1, 0, 0, 0}, {2, 5, 9, 50}};
  EXPECT_EQ(job_to_serve(jobs), 2);
}

TEST(FairShare, WorkersAreSharedEvenly) {
  std::vector<JobLoad> jobs = {{1, 0, 0, 0}, {2, 0, 0, 0}, {3, 0, 0, 0}};
  for (std::int64_t token = 1; token <= 10; ++token) {
    const auto served = job_to_serve(jobs);
    ASSERT_TRUE(served);
    JobLoad& job = jobs[static_cast<std::size_t>(*served - 1)];
    ++job.leases;
    job.served = token;
  }
  EXPECT_EQ(jobs[0].leases, 4);
  EXPECT_EQ(jobs[1].leases, 3);
  EXPECT_EQ(jobs[2].leases, 3);
}

TEST(FairShare, OneWorkerTakesTurns) {
  std::vector<JobLoad> jobs = {{1, 0, 0, 0}, {2, 0, 0, 0}};
  std::vector<std::int64_t> order;
  for (std::int64_t token = 1; token <= 4; ++token) {
    order.push_back(*job_to_serve(jobs));
    jobs[static_cast<std::size_t>(order.back() - 1)].served = token;  // done again before the next one asks
  }
  EXPECT_EQ(order, (std::vector<std::int64_t>{1, 2, 1, 2}));
}

TEST(Bite, IsOneBatchWhileTheRateIsUnknown) { EXPECT_EQ(bite({1000000, 1000000, 64, 0, 1}), 64); }

TEST(Bite, IsTenSecondsOfWholeBatches) { EXPECT_EQ(bite({1000000, 1000000, 64, 50, 3}), 448); }  // 500 / 64 = 7 batches

TEST(Bite, ShrinksTowardsTheEndSoThatAllWorkersEndTogether) {
  EXPECT_EQ(bite({1000, 1000, 16, 1e6, 4}), 112);  // an eighth of 1000, in batches of 16
  EXPECT_EQ(bite({100, 100, 16, 1e6, 4}), 16);
}

TEST(Bite, NeverExceedsTheRange) {
  EXPECT_EQ(bite({5, 1000, 64, 50, 1}), 5);
  EXPECT_EQ(bite({1, 1, 64, 0, 100}), 1);
}

std::vector<bool> stay(const std::vector<std::set<std::string>>& models, std::size_t most) {
  return jobs_that_stay(models, most);
}

TEST(Shelf, TheModelThatWasUsedLeastRecentlyGoesWithItsJobs) {
  EXPECT_EQ(stay({{"a"}, {"b"}, {"c"}}, 2), (std::vector{true, true, false}));
  EXPECT_EQ(stay({{"c"}, {"a"}, {"b"}}, 2), (std::vector{true, true, false}));
  EXPECT_EQ(stay({{"a"}, {"b"}, {"b"}, {"c"}, {"c"}}, 2), (std::vector{true, true, true, false, false}));
}

TEST(Shelf, CountsModelsNotJobs) {
  const std::vector<std::set<std::string>> of_one(10, {"a"});
  EXPECT_EQ(stay(of_one, 1), std::vector<bool>(10, true));
  EXPECT_EQ(stay({{"a"}, {"b"}, {"a"}}, 1), (std::vector{true, false, true}));
}

TEST(Shelf, AJobWithSeveralModelsCountsForAllOfThem) {
  EXPECT_EQ(stay({{"a"}, {"b", "c"}, {"d"}}, 3), (std::vector{true, true, false}));
  EXPECT_EQ(stay({{"a"}, {"b", "c"}, {"d"}}, 2), (std::vector{true, false, true}));
  EXPECT_EQ(stay({{"a", "b"}, {"b", "c"}, {"b"}}, 2), (std::vector{true, false, true}));
}

TEST(Shelf, TheNewestJobStaysWhateverItNeedsAndSoDoThoseThatNeedNoMore) {
  EXPECT_EQ(stay({{"a", "b", "c"}, {"c"}, {"d"}}, 1), (std::vector{true, true, false}));
}

TEST(Shelf, NoMoreJobsStayThanTheirOtherPartsAllow) {
  const std::vector<bool> verdict = stay(std::vector<std::set<std::string>>(kMostJobsKept + 2, {"a"}), 3);
  EXPECT_TRUE(verdict[kMostJobsKept - 1]);
  EXPECT_FALSE(verdict[kMostJobsKept]);
  EXPECT_FALSE(verdict[kMostJobsKept + 1]);
}

TEST(Judgement, TwoTroublesCutARangeOfSeveral) {
  EXPECT_EQ(judge({8, 1, 0, 0}), Verdict::kTryAgain);
  EXPECT_EQ(judge({8, 1, 1, 0}), Verdict::kCut);
  EXPECT_EQ(judge({2, 2, 0, 0}), Verdict::kCut);
}

TEST(Judgement, LostLeasesAloneNeverParkASample) { EXPECT_EQ(judge({1, 1000, 2, 2}), Verdict::kTryAgain); }

TEST(Judgement, ThreeErrorsOrThreeDeathsParkASample) {
  EXPECT_EQ(judge({1, 0, 3, 0}), Verdict::kPark);
  EXPECT_EQ(judge({1, 3, 0, 3}), Verdict::kPark);
}

}  // namespace
}  // namespace pathline::pool

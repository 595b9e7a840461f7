// SPDX-License-Identifier: Apache-2.0
#include "trainer/wall_time.h"

#include <gtest/gtest.h>

#include <string>

namespace pathline::trainer {
namespace {

cluster::Environment with_job_end(const char* text) {
  return [text](const std::string& name) { return name == "SLURM_JOB_END_TIME" ? text : nullptr; };
}

constexpr double kWallNow = 1'700'000'000, kNow = 500, kStart = 480;

TEST(EndOfTime, IsTheEarlierOfTheRecipesLimitAndTheJobs) {
  EXPECT_EQ(end_of_time(kStart, 2, with_job_end("1700000900"), kNow, kWallNow), kStart + 120);
  EXPECT_EQ(end_of_time(kStart, 60, with_job_end("1700000900"), kNow, kWallNow), kNow + 900);
  EXPECT_EQ(end_of_time(kStart, 0, with_job_end("1700000900"), kNow, kWallNow), kNow + 900);
  EXPECT_EQ(end_of_time(kStart, 2, with_job_end(nullptr), kNow, kWallNow), kStart + 120);
}

TEST(EndOfTime, IsUnknownWithoutALimitOrWithAJobEndThatCannotBeMeant) {
  for (const char* text : {static_cast<const char*>(nullptr), "", "soon", "1700000900x", "0", "1699999999"}) {
    EXPECT_EQ(end_of_time(kStart, 0, with_job_end(text), kNow, kWallNow), std::nullopt);
  }
}

TEST(WallTime, WithoutAnEndIsNeverOver) {
  WallTime time(0, std::nullopt);
  EXPECT_FALSE(time.nearly_over(1e12));
  EXPECT_EQ(time.lead(), 0);
}

TEST(WallTime, LeavesTwoSavesTwoStepsAndAMargin) {
  WallTime time(0, 3600);
  time.saved(100);
  EXPECT_FALSE(time.nearly_over(50));  // the first look: setting up is no step
  EXPECT_EQ(time.lead(), 2 * 100 + 30);
  EXPECT_FALSE(time.nearly_over(60));
  EXPECT_FALSE(time.nearly_over(63));
  EXPECT_EQ(time.lead(), 2 * 100 + 2 * 10 + 30);  // the longest
  for (double now = 70; now <= 3340; now += 10) ASSERT_FALSE(time.nearly_over(now)) << now;
  EXPECT_TRUE(time.nearly_over(3350));
}

TEST(WallTime, TrainsAtLeastHalfOfAShortTime) {
  WallTime time(0, 100);
  EXPECT_EQ(time.lead(), 10);  // a tenth
  time.saved(70);
  EXPECT_EQ(time.lead(), 50);
  EXPECT_FALSE(time.nearly_over(49.5));
  EXPECT_TRUE(time.nearly_over(50));
}

}  // namespace
}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
#include "trainer/pace.h"

#include <gtest/gtest.h>

namespace pathline::trainer {
namespace {

TEST(Pace, WorkTakesItsShareOfTheTime) {
  const double worked = 0.01;
  for (const double share : {0.1, 0.3, 0.5, 1.0})
    EXPECT_DOUBLE_EQ(worked / (worked + pause_after(worked, share)), share);
}

TEST(Pace, SlowStorageIsNotSlowedFurther) {
  for (const double worked : {10.0, 1000.0}) EXPECT_LE(pause_after(worked, 0.01), 0.25);
}

TEST(Pace, NobodyWhoWaitsIsHeldUp) {
  Pace pace(1e-300);  // one pause would last for a quarter of a second
  pace.begin();
  pace.set_awaited(true);
  for (int n = 0; n < 10000; ++n) pace.rest();  // 40 minutes, if it paused: the test's time limit is shorter
}

}  // namespace
}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
#include "launch/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pathline::launch {
namespace {

using testing::HasSubstr;

constexpr Patience kRestart{true, 0, 3};

TEST(Verdict, EndsForCodesThatAreFinalAndForNoOthers) {
  for (int code = 0; code < 256; ++code) {
    const bool final = code == 0 || code == 2 || code == 3 || code == 4 || code == 65 || code == 66;
    Restarts restarts;
    const Verdict verdict = judge({code, 5, 9, false}, kRestart, restarts);
    EXPECT_EQ(verdict.again, !final) << code;
    EXPECT_TRUE(verdict.again || verdict.code == code) << code;
  }
}

TEST(Verdict, StartsAgainOnlyIfToldTo) {
  Restarts restarts;
  const Verdict verdict = judge({67, 5, 9, false}, {false, 0, 3}, restarts);
  EXPECT_FALSE(verdict.again);
  EXPECT_EQ(verdict.code, 67);
  EXPECT_THAT(verdict.words, HasSubstr("a rank hung or was lost"));
}

TEST(Verdict, NeverStartsAgainWhatWasAskedToStop) {
  Restarts restarts;
  for (const int code : {64, 67, 137}) {
    const Verdict verdict = judge({code, 5, 9, true}, kRestart, restarts);
    EXPECT_FALSE(verdict.again);
    EXPECT_EQ(verdict.code, code);
  }
  EXPECT_EQ(judge({140, -1, -1, true}, kRestart, restarts).code, 64);  // USR2 before the ranks could act on it
}

TEST(Verdict, WaitsLongerAfterEveryFailureWithoutProgressUpToAMinute) {
  Restarts restarts;
  const Patience patient{true, 0, 0};
  for (const double expected : {1, 2, 4, 8, 16, 32, 60, 60}) {
    EXPECT_EQ(judge({1, 5, 5, false}, patient, restarts).wait_seconds, expected);
  }
  EXPECT_EQ(judge({1, 5, 6, false}, patient, restarts).wait_seconds, 0);
  EXPECT_EQ(judge({1, 6, 6, false}, patient, restarts).wait_seconds, 1);
}

TEST(Verdict, GivesUpAfterRestartsWithoutProgressWhichProgressSetsBack) {
  Restarts restarts;
  for (int restart = 1; restart <= 3; ++restart) EXPECT_TRUE(judge({1, 5, 5, false}, kRestart, restarts).again);
  EXPECT_TRUE(judge({1, 5, 6, false}, kRestart, restarts).again);
  for (int restart = 1; restart <= 3; ++restart) EXPECT_TRUE(judge({1, 6, 6, false}, kRestart, restarts).again);
  const Verdict verdict = judge({1, 6, 6, false}, kRestart, restarts);
  EXPECT_FALSE(verdict.again);
  EXPECT_EQ(verdict.code, 65);
  EXPECT_EQ(restarts.all, 7);
}

TEST(Verdict, CountsAllRestartsAgainstTheirLimit) {
  Restarts restarts;
  const Patience twice{true, 2, 3};
  EXPECT_TRUE(judge({64, 0, 1, false}, twice, restarts).again);
  EXPECT_TRUE(judge({64, 1, 2, false}, twice, restarts).again);
  const Verdict verdict = judge({64, 2, 3, false}, twice, restarts);
  EXPECT_FALSE(verdict.again);
  EXPECT_EQ(verdict.code, 64);
}

}  // namespace
}  // namespace pathline::launch

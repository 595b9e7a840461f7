// SPDX-License-Identifier: Apache-2.0
#include "core/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pathline::core {
namespace {

using testing::MatchesRegex;

TEST(ProgressLine, SaysDoneTotalShareRateAndTimeLeft) {
  EXPECT_EQ(progress_line("import", 500, 2000, "images", 5, ""),
            "import: 500 / 2000 images (25 %), 100 images/s, 15.0 s left");
  EXPECT_EQ(progress_line("train", 3, 2000, "steps", 0, "loss 0.5"), "train: 3 / 2000 steps (0 %), loss 0.5");
  EXPECT_EQ(progress_line("import", 2'000'000, 2'000'000, "images", 10, ""),
            "import: 2000000 / 2000000 images (100 %), 200 k images/s, took 10.0 s");
}

TEST(ProgressLine, DoesWithoutAKnownTotal) {
  EXPECT_EQ(progress_line("train", 600, 1000, "steps", 50, "", 500),
            "train: 600 / 1000 steps (60 %), 2.00 steps/s, 3 min 20 s left");
  EXPECT_EQ(progress_line("scan", 50, 0, "files", 2, ""), "scan: 50 files, 25.0 files/s");
}

TEST(Progress, WritesOneLineAtTheEndOfShortWork) {
  testing::internal::CaptureStderr();
  {
    Progress progress("import", 1000, "images");
    for (int i = 0; i <= 1000; ++i) progress.update(i);
    progress.finish("3 unreadable");
    progress.finish();
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              MatchesRegex("import: 1000 / 1000 images \\(100 %\\), [^\n]* images/s, took [^\n]* s, 3 unreadable\n"));
}

TEST(Progress, TheDestructorFinishes) {
  testing::internal::CaptureStderr();
  { Progress("import", 10, "images").update(4); }
  EXPECT_THAT(testing::internal::GetCapturedStderr(), MatchesRegex("import: 4 / 10 images \\(40 %\\)[^\n]*\n"));
}

TEST(Progress, OtherRanksAreSilent) {
  testing::internal::CaptureStderr();
  Progress progress("import", 10, "images", false);
  progress.update(10);
  progress.finish();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(MonotonicSeconds, NeverGoBack) {
  double last = monotonic_seconds();
  for (int i = 0; i < 1000; ++i) {
    const double now = monotonic_seconds();
    ASSERT_GE(now, last);
    last = now;
  }
}

}  // namespace
}  // namespace pathline::core

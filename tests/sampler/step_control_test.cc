// SPDX-License-Identifier: Apache-2.0
#include "sampler/step_control.h"

#include <gtest/gtest.h>

#include <limits>

namespace pathline::sampler {
namespace {

TEST(StepControl, LandsExactlyAndLeavesNoTinyRemainder) {
  EXPECT_EQ(step_end(0.25, 0.5, 1.0), 0.75);
  EXPECT_EQ(step_end(0.9, 0.5, 1.0), 1.0);
  EXPECT_EQ(step_end(0.5, 0.499, 1.0), 1.0);  // stretched: the remainder would be 0.001
  EXPECT_LT(step_end(0.5, 0.4, 1.0), 1.0);
  EXPECT_EQ(step_end(0.1, -0.2, 0.0), 0.0);  // backwards
}

TEST(StepControl, NeverShrinksAfterAcceptanceNorGrowsTooFast) {
  EXPECT_EQ(next_step(1.0, 0.99, 5), 1.0);
  EXPECT_EQ(next_step(1.0, 1e-30, 5), 10.0);
  EXPECT_EQ(next_step(1.0, 1e30, 5), 0.2);
  EXPECT_EQ(next_step(-1.0, 1e30, 5), -0.2);
}

TEST(StepControl, TooShortAndUndefinedStepsUnderflow) {
  EXPECT_TRUE(underflows(1e-14, 0.0, 1.0));
  EXPECT_TRUE(underflows(std::numeric_limits<double>::quiet_NaN(), 0.0, 1.0));
  EXPECT_FALSE(underflows(-1e-6, 1.0, 0.0));
}

}  // namespace
}  // namespace pathline::sampler

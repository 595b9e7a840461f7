// SPDX-License-Identifier: Apache-2.0
#include "sampler/step_control.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"

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
  EXPECT_EQ(shorter_step(1.0, 1e30, 5), 0.2);
  EXPECT_EQ(shorter_step(-1.0, 1e30, 5), -0.2);
}

TEST(StepControl, ControllersWithMemoryWeighTheErrorsBefore) {
  const Controller pi = Controller::parse("pi"), pid = Controller::parse("pid");
  // Errors that stay on a level r: the factor is 0.9 r^(-(now - before + earlier)/k) for all of them.
  EXPECT_DOUBLE_EQ(next_step(1.0, 0.5, 5, pi, {0.5, 0.5}), 0.9 * std::pow(0.5, -0.5 / 5));
  EXPECT_DOUBLE_EQ(next_step(1.0, 0.5, 5, pid, {0.5, 0.5}), 0.9 * std::pow(0.5, -0.47 / 5));
  // Where errors grow, the step is shortened although it was accepted.
  EXPECT_LT(next_step(1.0, 0.9, 5, pi, {0.01, 0.01}), 0.9);
  EXPECT_THROW(Controller::parse("p"), core::Error);
}

TEST(NoiseFloor, AnErrorThatFallsWithTheStepOnlyIsNoise) {
  NoiseFloor floor;
  const double movement = 1e6;  // of the slope, in tolerances: the noise is 1e-3 of it
  EXPECT_FALSE(floor.accepts(0.1, 100, movement)) << "one rejection says nothing yet";
  EXPECT_TRUE(floor.accepts(0.02, 20, movement));
  EXPECT_EQ(floor.step_taken(0.02), 0.1) << "the longest that was tried is no worse";
  EXPECT_TRUE(floor.accepts(-0.1, 120, movement)) << "known by now";
  EXPECT_FALSE(floor.accepts(0.1, 1e4, movement)) << "far above the floor";
}

TEST(NoiseFloor, AnErrorThatFallsWithTheOrderIsNot) {
  NoiseFloor floor;
  EXPECT_FALSE(floor.accepts(0.1, 100, 1e6));
  EXPECT_FALSE(floor.accepts(0.05, 100 * std::pow(0.5, 3), 1e6));
}

TEST(NoiseFloor, AJumpAsLargeAsTheSlopeIsNot) {
  NoiseFloor floor;
  EXPECT_FALSE(floor.accepts(0.1, 100, 1e3));
  EXPECT_FALSE(floor.accepts(0.05, 50, 1e3));
}

TEST(StepControl, TooShortAndUndefinedStepsUnderflow) {
  EXPECT_TRUE(underflows(1e-14, 0.0, 1.0));
  EXPECT_TRUE(underflows(std::numeric_limits<double>::quiet_NaN(), 0.0, 1.0));
  EXPECT_FALSE(underflows(-1e-6, 1.0, 0.0));
}

}  // namespace
}  // namespace pathline::sampler

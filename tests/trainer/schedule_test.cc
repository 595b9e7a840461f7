// SPDX-License-Identifier: Apache-2.0
#include "trainer/schedule.h"

#include <gtest/gtest.h>

namespace pathline::trainer {
namespace {

OptimizerOptions cosine() {
  OptimizerOptions options;
  options.lr = 1.0;
  options.warmup_steps = 10;
  options.schedule = "cosine";
  options.schedule_steps = 110;
  return options;
}

TEST(LearningRate, WarmsUpInALineAndEndsAtTheFullRate) {
  EXPECT_DOUBLE_EQ(lr_at(cosine(), 0), 0.1);
  EXPECT_DOUBLE_EQ(lr_at(cosine(), 4), 0.5);
  EXPECT_DOUBLE_EQ(lr_at(cosine(), 9), 1.0);
}

TEST(LearningRate, CosineIsHalfInTheMiddleAndZeroFromTheHorizonOn) {
  EXPECT_DOUBLE_EQ(lr_at(cosine(), 10), 1.0);
  EXPECT_DOUBLE_EQ(lr_at(cosine(), 60), 0.5);
  EXPECT_NEAR(lr_at(cosine(), 110), 0.0, 1e-15);  // cos(pi) is rounded
  EXPECT_NEAR(lr_at(cosine(), 500), 0.0, 1e-15);
}

TEST(LearningRate, ConstantStays) {
  OptimizerOptions options = cosine();
  options.schedule = "constant";
  EXPECT_DOUBLE_EQ(lr_at(options, 10), 1.0);
  EXPECT_DOUBLE_EQ(lr_at(options, 100000), 1.0);
}

TEST(AverageDecay, WarmsUpAsARatioUntilItReachesItsDecay) {
  EXPECT_DOUBLE_EQ(ema_decay_at(0.999, "ratio", 0), 0.1);
  EXPECT_DOUBLE_EQ(ema_decay_at(0.999, "ratio", 90), 0.91);
  EXPECT_DOUBLE_EQ(ema_decay_at(0.999, "ratio", 1000000), 0.999);
  EXPECT_DOUBLE_EQ(ema_decay_at(0.999, "none", 0), 0.999);
}

}  // namespace
}  // namespace pathline::trainer

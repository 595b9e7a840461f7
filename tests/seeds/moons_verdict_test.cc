// SPDX-License-Identifier: Apache-2.0
// The oracle of the recipes cannot be fooled: what is not two moons fails, by the figures that the bars were chosen by.
#include "tests/seeds/moons_verdict.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_cholesky.h>
#include <ATen/ops/matmul.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <limits>

#include "core/random.h"

namespace pathline::tests {
namespace {

constexpr std::int64_t kCount = 10000;

at::Tensor normal_points(std::uint64_t seed) {
  at::Tensor rows = at::empty({kCount, 2}, at::kFloat);
  core::Draws(seed, 0, core::Purpose::kGenerationNoise)
      .fill_normal({rows.mutable_data_ptr<float>(), static_cast<std::size_t>(rows.numel())});
  return rows;
}

void say(const char* what, const MoonsVerdict& verdict) {
  std::printf("%s: energy %.5f (floor %.5f), unlikely %.1f %%\n", what, verdict.energy, verdict.floor,
              100 * verdict.share);
}

class Oracle : public testing::Test {
 protected:
  const at::Tensor reference_ = made_moons(20000, 1);
};

TEST_F(Oracle, FreshDataPass) {
  const MoonsVerdict verdict = judge_moons(made_moons(kCount, 2), reference_);
  say("fresh data", verdict);
  EXPECT_TRUE(verdict.holds());
  // E|X - X'| = 1.15 times 2 / 2,000 is expected of one law; a mean of 5 draws scatters by half of it
  EXPECT_NEAR(verdict.energy, 0.0011, 0.0015);
  EXPECT_LT(verdict.share, 0.01);
}

TEST_F(Oracle, AGaussianOfTheSameMomentsFailsByBothMeasures) {
  const at::Tensor mean = reference_.mean(0), centred = reference_ - mean;
  const at::Tensor root = at::linalg_cholesky(at::matmul(centred.t(), centred) / reference_.size(0));
  const MoonsVerdict verdict = judge_moons(at::matmul(normal_points(3), root.t()) + mean, reference_);
  say("Gaussian of the same moments", verdict);
  EXPECT_GT(verdict.energy, 2 * kOneStepEnergyBar);
  EXPECT_GT(verdict.share, 0.5);
}

TEST_F(Oracle, BlurredMoonsFail) {
  const MoonsVerdict verdict = judge_moons(made_moons(kCount, 2) + 0.2 * normal_points(4), reference_);
  say("moons blurred by 0.2", verdict);
  EXPECT_FALSE(verdict.holds(kOneStepEnergyBar));
  EXPECT_GT(verdict.share, kShareBar + 0.04);  // sure by the share alone: its standard error is below 0.005
}

TEST_F(Oracle, OneMoonFails) {
  const MoonsVerdict verdict = judge_moons(made_moons(2 * kCount, 2).slice(0, 0, 2 * kCount, 2), reference_);
  say("one moon", verdict);
  EXPECT_GT(verdict.energy, 10 * kOneStepEnergyBar);  // every point is likely, and half of the mass is missing
  EXPECT_LT(verdict.share, 0.01);
}

TEST_F(Oracle, SamplesThatAreNotFiniteFail) {
  const at::Tensor samples = made_moons(kCount, 2);
  samples.slice(0, 0, kCount / 2).fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_FALSE(judge_moons(samples, reference_).holds());
}

}  // namespace
}  // namespace pathline::tests

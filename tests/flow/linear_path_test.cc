// SPDX-License-Identifier: Apache-2.0
#include "flow/linear_path.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace pathline::flow {
namespace {

TEST(LinearPath, StartsAtNoiseEndsAtDataAndMovesAtConstantVelocity) {
  const auto x0 = at::tensor({1.0, -2.0, 0.5, 4.0}, at::kFloat).view({2, 2});
  const auto x1 = at::tensor({3.0, 6.0, -0.5, 8.0}, at::kFloat).view({2, 2});
  EXPECT_TRUE(linear_path(x0, x1, at::tensor({0.0, 0.0}, at::kFloat)).x.equal(x0));
  EXPECT_TRUE(linear_path(x0, x1, at::tensor({1.0, 1.0}, at::kFloat)).x.equal(x1));
  const auto mixed = linear_path(x0, x1, at::tensor({0.25, 0.5}, at::kFloat));
  EXPECT_TRUE(mixed.x.equal(at::tensor({1.5, 0.0, 0.0, 6.0}, at::kFloat).view({2, 2})));
  EXPECT_TRUE(mixed.velocity.equal(at::tensor({2.0, 8.0, -1.0, 4.0}, at::kFloat).view({2, 2})));
}

TEST(SquaredErrorPerSample, IsTheMeanOverElementsOfEachSample) {
  const auto prediction = at::tensor({1.0, 2.0, 3.0, 4.0}, at::kFloat).view({2, 2});
  const auto target = at::tensor({1.0, 0.0, 0.0, 0.0}, at::kFloat).view({2, 2});
  EXPECT_TRUE(squared_error_per_sample(prediction, target).equal(at::tensor({2.0, 12.5}, at::kFloat)));
}

}  // namespace
}  // namespace pathline::flow

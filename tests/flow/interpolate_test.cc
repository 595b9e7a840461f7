// SPDX-License-Identifier: Apache-2.0
#include "flow/interpolate.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace pathline::flow {
namespace {

TEST(Mixed, TakesEveryRowsOwnShares) {
  const auto x0 = at::tensor({1.0, -2.0, 0.5, 4.0}, at::kFloat).view({2, 1, 2});
  const auto x1 = at::tensor({3.0, 6.0, -0.5, 8.0}, at::kFloat).view({2, 1, 2});
  const auto mixture = mixed(x1, at::tensor({0.25, 1.0}, at::kFloat), x0, at::tensor({0.75, -1.0}, at::kFloat));
  EXPECT_TRUE(mixture.equal(at::tensor({1.5, 0.0, -1.0, 4.0}, at::kFloat).view({2, 1, 2})));
}

TEST(SquaredErrorPerSample, IsTheMeanOverElementsOfEachSample) {
  const auto prediction = at::tensor({1.0, 2.0, 3.0, 4.0}, at::kFloat).view({2, 2});
  const auto target = at::tensor({1.0, 0.0, 0.0, 0.0}, at::kFloat).view({2, 2});
  EXPECT_TRUE(squared_error_per_sample(prediction, target).equal(at::tensor({2.0, 12.5}, at::kFloat)));
}

}  // namespace
}  // namespace pathline::flow

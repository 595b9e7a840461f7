// SPDX-License-Identifier: Apache-2.0
// Fused layers beside the same formula in plain ATen, in double precision with ATen's own gradients.
#pragma once

#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "tests/model/support.h"

namespace pathline::tests {

using Tensors = std::vector<at::Tensor>;
using Formula = std::function<at::Tensor(const Tensors&)>;

/// The value and the gradients of a random linear functional of it.
inline Tensors value_and_gradients(const Formula& formula, const Tensors& inputs, at::ScalarType type) {
  Tensors leaves;
  for (const at::Tensor& input : inputs) leaves.push_back(input.to(type).detach().clone().set_requires_grad(true));
  const at::Tensor value = formula(leaves);
  (value * noise(value.sizes().vec(), 99).to(type)).sum().backward();
  Tensors results = {value.detach()};
  for (const at::Tensor& leaf : leaves) results.push_back(leaf.grad());
  return results;
}

/// Largest difference from the double-precision formula, as a share of the largest number of the same tensor. The
/// inputs are rounded to `type` first, for both.
inline double worst_difference(const Formula& fused, const Formula& plain, const Tensors& inputs,
                               at::ScalarType type = at::kFloat) {
  Tensors rounded;
  for (const at::Tensor& input : inputs) rounded.push_back(input.to(type));
  const Tensors ours = value_and_gradients(fused, rounded, type);
  const Tensors exact = value_and_gradients(plain, rounded, at::kDouble);
  double worst = 0.0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    EXPECT_EQ(ours[i].scalar_type(), type);
    const at::Tensor difference = (ours[i].to(at::kDouble) - exact[i]).abs().max() / exact[i].abs().max();
    const double found = difference.item<double>();
    EXPECT_FALSE(std::isnan(found)) << i;
    worst = std::max(worst, found);
  }
  return worst;
}

// fp32 sums of a few hundred terms of size 1: some units in the last place, 6e-8 each.
inline constexpr double kRounding = 2e-6;
// bf16 rounds to 8 bits, 2^-9 relative; errors of the handful of roundings on the way to a number add up, and are
// compared with the largest number of the tensor.
inline constexpr double kHalfRounding = 0.02;

}  // namespace pathline::tests

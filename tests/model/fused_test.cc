// SPDX-License-Identifier: Apache-2.0
// The fused pieces against the same formulas in plain ATen, in double precision with ATen's own gradients.
#include <gtest/gtest.h>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/layer_norm.h>

#include "model/fused.h"
#include "tests/model/support.h"

namespace pathline {
namespace {

using Tensors = std::vector<at::Tensor>;
using Formula = at::Tensor (*)(const Tensors&);

at::Tensor noise(std::vector<std::int64_t> shape, std::uint64_t index) {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  core::Draws(5, index, core::Purpose::kMadeData)
      .fill_normal({tensor.mutable_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())});
  return tensor;
}

/// The value and the gradients of a random linear functional of it.
Tensors value_and_gradients(Formula formula, const Tensors& inputs, at::ScalarType type) {
  Tensors leaves;
  for (const at::Tensor& input : inputs) leaves.push_back(input.to(type).detach().clone().set_requires_grad(true));
  const at::Tensor value = formula(leaves);
  (value * noise(value.sizes().vec(), 99).to(type)).sum().backward();
  Tensors results = {value.detach()};
  for (const at::Tensor& leaf : leaves) results.push_back(leaf.grad());
  return results;
}

/// Largest difference from the double-precision formula, as a share of the largest number of the same tensor.
double worst_difference(Formula fused, Formula plain, const Tensors& inputs) {
  const Tensors ours = value_and_gradients(fused, inputs, at::kFloat);
  const Tensors exact = value_and_gradients(plain, inputs, at::kDouble);
  double worst = 0.0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const at::Tensor difference = (ours[i].to(at::kDouble) - exact[i]).abs().max() / exact[i].abs().max();
    worst = std::max(worst, difference.item<double>());
  }
  return worst;
}

at::Tensor fused_norm(const Tensors& in) { return model::modulated_norm(in[0], in[1], in[2]); }
at::Tensor plain_norm(const Tensors& in) {
  return at::layer_norm(in[0], {in[0].size(2)}, {}, {}, 1e-6) * (in[2].unsqueeze(1) + 1.0) + in[1].unsqueeze(1);
}
at::Tensor fused_gate(const Tensors& in) { return model::gated_residual(in[0], in[1], in[2]); }
at::Tensor plain_gate(const Tensors& in) { return in[0] + in[1].unsqueeze(1) * in[2]; }

// fp32 sums of a few hundred terms of size 1: some units in the last place, 6e-8 each.
constexpr double kRounding = 2e-6;

TEST(ModulatedNorm, HasTheValueAndGradientsOfItsFormula) {
  for (const std::int64_t width : {4, 16, 36, 256}) {  // shorter than, equal to and not a multiple of the vector
    const Tensors inputs = {noise({3, 7, width}, 1) * 2.0 + 1.0, noise({3, width}, 2), noise({3, width}, 3)};
    EXPECT_LT(worst_difference(fused_norm, plain_norm, inputs), kRounding) << width;
  }
}

TEST(GatedResidual, HasTheValueAndGradientsOfItsFormula) {
  for (const std::int64_t width : {4, 16, 36, 256}) {
    const Tensors inputs = {noise({3, 7, width}, 1), noise({3, width}, 2), noise({3, 7, width}, 3)};
    EXPECT_LT(worst_difference(fused_gate, plain_gate, inputs), kRounding) << width;
  }
}

TEST(ModulatedNorm, GivesTheSameBitsOnAnyNumberOfThreads) {
  const Tensors inputs = {noise({5, 7, 36}, 1), noise({5, 36}, 2), noise({5, 36}, 3)};
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const Tensors one = value_and_gradients(fused_norm, inputs, at::kFloat);
  at::set_num_threads(2);
  const Tensors two = value_and_gradients(fused_norm, inputs, at::kFloat);
  at::set_num_threads(threads);
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(one[i].equal(two[i]));
}

TEST(ModulatedNorm, TakesSlicesOfTheModulationAsTheyAre) {
  const at::Tensor x = noise({3, 7, 32}, 1), modulation = noise({3, 6 * 32}, 2);
  const auto parts = modulation.chunk(6, 1);
  EXPECT_TRUE(model::modulated_norm(x, parts[3], parts[4])
                  .equal(model::modulated_norm(x, parts[3].contiguous(), parts[4].contiguous())));
}

}  // namespace
}  // namespace pathline

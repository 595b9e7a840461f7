// SPDX-License-Identifier: Apache-2.0
// The passes of a transformer block on the GPU against the same formulas in plain ATen and double precision.
#include <ATen/TensorOperators.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/layer_norm.h>
#include <gtest/gtest.h>

#include <functional>

#include "model/fused.h"
#include "model/gpu_passes.h"
#include "tests/gpu/support.h"

namespace pathline {
namespace {

using Tensors = std::vector<at::Tensor>;
using Formula = std::function<at::Tensor(const Tensors&)>;

at::Tensor noise(std::vector<std::int64_t> shape, std::uint64_t index) {
  std::int64_t count = 1;
  for (const auto size : shape) count *= size;
  return tests::on_gpu(tests::normals(static_cast<std::size_t>(count), index)).view(shape);
}

/// The value and the gradients of a random linear functional of it.
Tensors value_and_gradients(const Formula& formula, const Tensors& inputs, at::ScalarType type) {
  Tensors leaves;
  for (const at::Tensor& input : inputs) leaves.push_back(input.to(type).detach().clone().set_requires_grad(true));
  const at::Tensor value = formula(leaves);
  (value * noise(value.sizes().vec(), 99).to(type)).sum().backward();
  Tensors results = {value.detach()};
  for (const at::Tensor& leaf : leaves) results.push_back(leaf.grad());
  return results;
}

/// Both get inputs that are rounded to `type`.
void expect_close(const Formula& ours, const Formula& plain, const Tensors& inputs, at::ScalarType type) {
  Tensors rounded;
  for (const at::Tensor& input : inputs) rounded.push_back(input.to(type));
  const Tensors found = value_and_gradients(ours, rounded, type), again = value_and_gradients(ours, rounded, type);
  const Tensors exact = value_and_gradients(plain, rounded, at::kDouble);
  // fp32: rounding of sums over some thousand terms; bf16: half a unit in the last place of the largest result (2^-9),
  // the linear functional's own rounding of the gradient that comes in (another 2^-9), and a factor of two.
  const double tolerance = type == at::kFloat ? 1e-5 : 8e-3;
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].scalar_type(), type);
    EXPECT_TRUE(found[i].equal(again[i])) << i << ": not the same bits twice";
    const double worst = ((found[i].to(at::kDouble) - exact[i]).abs().max() / exact[i].abs().max()).item<double>();
    EXPECT_TRUE(worst < tolerance) << i << ": " << worst;  // NaN is not
  }
}

struct Shape {
  std::int64_t samples, tokens, width;
};
const std::vector<Shape> kShapes = {{2, 3, 8}, {3, 64, 48}, {1, 33, 384}, {2, 256, 1152}, {1, 5, 2048}};

/// Slices of one modulation (N, 6 D), as a block has them.
Tensors modulated_inputs(const Shape& s) {
  return {noise({s.samples, s.tokens, s.width}, 1) * 3.0 + 1.0, noise({s.samples, 6 * s.width}, 2),
          noise({s.samples, s.tokens, s.width}, 3)};
}

TEST(GpuPasses, ModulatedNormAgreesWithPlainAten) {
  for (const Shape& s : kShapes) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      ASSERT_TRUE(model::has_gpu_passes(noise({1, 1, s.width}, 0).to(type)));
      const auto parts = [&](const at::Tensor& m) { return m.chunk(6, 1); };
      expect_close([&](const Tensors& in) { return model::modulated_norm(in[0], parts(in[1])[3], parts(in[1])[4]); },
                   [&](const Tensors& in) {
                     const auto m = parts(in[1]);
                     const at::Tensor normed = at::layer_norm(in[0], {s.width}, {}, {}, 1e-6);
                     return normed * (m[4].unsqueeze(1) + 1.0) + m[3].unsqueeze(1);
                   },
                   {modulated_inputs(s)[0], modulated_inputs(s)[1]}, type);
    }
  }
}

TEST(GpuPasses, GatedResidualAgreesWithPlainAten) {
  for (const Shape& s : kShapes) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      expect_close([&](const Tensors& in) { return model::gated_residual(in[0], in[1].chunk(6, 1)[5], in[2]); },
                   [&](const Tensors& in) { return in[0] + in[1].chunk(6, 1)[5].unsqueeze(1) * in[2]; },
                   modulated_inputs(s), type);
    }
  }
}

TEST(GpuPasses, ASampleDoesNotDependOnItsBatch) {
  const Tensors in = modulated_inputs({4, 40, 1152});
  const auto m = in[1].chunk(6, 1);
  const at::Tensor all = model::modulated_norm(in[0], m[0], m[1]);
  const at::Tensor alone = model::modulated_norm(in[0].narrow(0, 2, 1), m[0].narrow(0, 2, 1), m[1].narrow(0, 2, 1));
  EXPECT_TRUE(all.narrow(0, 2, 1).equal(alone));
}

TEST(GpuPasses, WidthsThatDoNotFitAreLeftToAten) {
  EXPECT_FALSE(model::has_gpu_passes(noise({1, 2, 12}, 0).to(at::kBFloat16)));
  const Tensors in = modulated_inputs({2, 3, 12});
  const auto m = in[1].to(at::kBFloat16).chunk(6, 1);
  EXPECT_EQ(model::modulated_norm(in[0].to(at::kBFloat16), m[0], m[1]).sizes(), in[0].sizes());
}

}  // namespace
}  // namespace pathline

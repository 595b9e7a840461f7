// SPDX-License-Identifier: Apache-2.0
// The fused pieces against the same formulas in plain ATen, in double precision with ATen's own gradients.
#include <gtest/gtest.h>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/softmax.h>

#include <functional>

#include "core/error.h"
#include "model/fused.h"
#include "tests/model/formulas.h"

namespace pathline {
namespace {

using tests::Formula, tests::kHalfRounding, tests::kRounding, tests::noise, tests::Tensors, tests::value_and_gradients,
    tests::worst_difference;

at::Tensor fused_norm(const Tensors& in) { return model::modulated_norm(in[0], in[1], in[2]); }
at::Tensor plain_norm(const Tensors& in) {
  return at::layer_norm(in[0], {in[0].size(2)}, {}, {}, 1e-6) * (in[2].unsqueeze(1) + 1.0) + in[1].unsqueeze(1);
}

TEST(ModulatedNorm, HasTheValueAndGradientsOfItsFormula) {
  for (const std::int64_t width : {4, 16, 36, 256}) {  // shorter than, equal to and not a multiple of the vector
    const Tensors inputs = {noise({3, 7, width}, 1) * 2.0 + 1.0, noise({3, width}, 2), noise({3, width}, 3)};
    EXPECT_LT(worst_difference(fused_norm, plain_norm, inputs), kRounding) << width;
    EXPECT_LT(worst_difference(fused_norm, plain_norm, inputs, at::kBFloat16), kHalfRounding) << width;
  }
}

TEST(ModulatedNorm, TakesSlicesOfTheModulationAsTheyAre) {
  const at::Tensor x = noise({3, 7, 32}, 1), modulation = noise({3, 6 * 32}, 2);
  const auto parts = modulation.chunk(6, 1);
  EXPECT_TRUE(model::modulated_norm(x, parts[3], parts[4])
                  .equal(model::modulated_norm(x, parts[3].contiguous(), parts[4].contiguous())));
}

struct Shape {
  std::int64_t samples, tokens, heads, head_width, mlp_width;
};
// One block of rows and several, full and not; odd numbers of tokens and samples; widths that no vector or block
// divides.
const std::vector<Shape> kShapes = {{2, 64, 4, 64, 300}, {3, 49, 2, 16, 32}, {2, 131, 2, 18, 50},
                                    {1, 4, 1, 4, 6},     {1, 1, 1, 8, 14},   {2, 256, 1, 64, 520}};

/// x, modulation, and the two layers' weights and biases, of a size that keeps activations near 1.
Tensors half_inputs(const Shape& s, std::int64_t first_out, std::int64_t second_in) {
  const std::int64_t width = s.heads * s.head_width;
  return {noise({s.samples, s.tokens, width}, 1),
          noise({s.samples, 3 * width}, 2),
          noise({first_out, width}, 3) / std::sqrt(static_cast<double>(width)),
          noise({first_out}, 4) * 0.3,
          noise({width, second_in}, 5) / std::sqrt(static_cast<double>(second_in)),
          noise({width}, 6) * 0.3};
}
Tensors attention_inputs(const Shape& s) { return half_inputs(s, 3 * s.heads * s.head_width, s.heads * s.head_width); }
Tensors mlp_inputs(const Shape& s) { return half_inputs(s, s.mlp_width, s.mlp_width); }

Formula fused_attention(const Shape& s) {
  return [s](const Tensors& in) {
    return model::fused_attention(in[0], in[1], {in[2], in[3]}, {in[4], in[5]}, s.heads);
  };
}
at::Tensor fused_mlp(const Tensors& in) { return model::fused_mlp(in[0], in[1], {in[2], in[3]}, {in[4], in[5]}); }

at::Tensor plain_half(const Tensors& in, const std::function<at::Tensor(const at::Tensor&)>& inner) {
  const auto m = in[1].chunk(3, 1);
  const at::Tensor first = at::linear(plain_norm({in[0], m[0], m[1]}), in[2], in[3]);
  return in[0] + m[2].unsqueeze(1) * at::linear(inner(first), in[4], in[5]);
}
Formula plain_attention(const Shape& s) {
  return [s](const Tensors& in) {
    return plain_half(in, [&](const at::Tensor& first) {
      const auto qkv = first.view({s.samples, s.tokens, 3, s.heads, s.head_width}).permute({2, 0, 3, 1, 4}).unbind(0);
      const double scale = 1.0 / std::sqrt(static_cast<double>(s.head_width));
      const at::Tensor shares = at::softmax(qkv[0].matmul(qkv[1].transpose(2, 3)) * scale, -1);
      return shares.matmul(qkv[2]).transpose(1, 2).reshape({s.samples, s.tokens, s.heads * s.head_width});
    });
  };
}
at::Tensor plain_mlp(const Tensors& in) {
  return plain_half(in, [](const at::Tensor& first) { return at::gelu(first, "tanh"); });
}

TEST(FusedAttention, HasTheValueAndGradientsOfItsFormula) {
  for (const Shape& s : kShapes) {
    const Tensors inputs = attention_inputs(s);
    EXPECT_LT(worst_difference(fused_attention(s), plain_attention(s), inputs), kRounding) << s.tokens;
  }
}

TEST(FusedMlp, HasTheValueAndGradientsOfItsFormula) {
  for (const Shape& s : kShapes) {
    EXPECT_LT(worst_difference(fused_mlp, plain_mlp, mlp_inputs(s)), kRounding) << s.tokens;
  }
}

TEST(FusedHalves, HoldInBf16WhereTheProcessorMultipliesIt) {
  for (const Shape& s : kShapes) {
    const Tensors attention = attention_inputs(s), mlp = mlp_inputs(s);
    if (!model::can_fuse(attention[0].to(at::kBFloat16), s.head_width, s.mlp_width)) continue;  // tested in plain ATen
    const auto half = at::kBFloat16;
    EXPECT_LT(worst_difference(fused_attention(s), plain_attention(s), attention, half), kHalfRounding) << s.tokens;
    EXPECT_LT(worst_difference(fused_mlp, plain_mlp, mlp, half), kHalfRounding) << s.tokens;
  }
}

TEST(FusedHalves, GiveTheSameBitsOnAnyNumberOfThreads) {
  const Shape s = {5, 70, 3, 12, 100};
  const int threads = at::get_num_threads();
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    if (!model::can_fuse(noise({1}, 1).to(type), s.head_width, s.mlp_width)) continue;
    std::vector<Tensors> results;
    for (const int count : {1, 2, 3}) {
      at::set_num_threads(count);
      Tensors both = value_and_gradients(fused_attention(s), attention_inputs(s), type);
      for (const at::Tensor& tensor : value_and_gradients(fused_mlp, mlp_inputs(s), type)) both.push_back(tensor);
      results.push_back(both);
    }
    at::set_num_threads(threads);
    for (std::size_t i = 0; i < results[0].size(); ++i) {
      EXPECT_TRUE(results[0][i].equal(results[1][i]) && results[0][i].equal(results[2][i])) << i;
    }
  }
}

TEST(FusedHalves, GiveASampleTheSameBitsBesideAnyOthers) {
  const Shape s = {3, 70, 2, 16, 64};
  const at::NoGradGuard guard;
  for (const auto& [formula, inputs] : {std::pair<Formula, Tensors>{fused_attention(s), attention_inputs(s)},
                                        std::pair<Formula, Tensors>{fused_mlp, mlp_inputs(s)}}) {
    Tensors alone = inputs;
    alone[0] = inputs[0].narrow(0, 1, 1), alone[1] = inputs[1].narrow(0, 1, 1);
    EXPECT_TRUE(formula(alone).equal(formula(inputs).narrow(0, 1, 1)));
  }
}

TEST(FusedHalves, GiveTheSameBitsWithAndWithoutGradients) {
  const Shape s = {2, 64, 2, 16, 64};
  Tensors inputs = attention_inputs(s);
  inputs[0].set_requires_grad(true);
  const at::Tensor recorded = fused_attention(s)(inputs), fed = fused_mlp(mlp_inputs(s));
  const at::NoGradGuard guard;
  EXPECT_TRUE(recorded.equal(fused_attention(s)(inputs)));
  EXPECT_TRUE(fed.equal(fused_mlp(mlp_inputs(s))));
}

TEST(FusedHalves, RefuseSecondDerivatives) {
  const Tensors inputs = mlp_inputs({1, 4, 1, 4, 8});
  inputs[0].set_requires_grad(true);
  EXPECT_THROW(fused_mlp(inputs).sum().backward({}, true, true), core::Error);
}

TEST(FusedHalves, KeepANotANumber) {
  Tensors inputs = mlp_inputs({1, 8, 1, 16, 32});
  inputs[0] = inputs[0].clone();
  inputs[0].mutable_data_ptr<float>()[20] = std::nanf("");  // in the second token
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    if (!model::can_fuse(inputs[0].to(type), 16, 32)) continue;
    Tensors typed;
    for (const at::Tensor& input : inputs) typed.push_back(input.to(type));
    const at::Tensor wrong = fused_mlp(typed).isnan().all(-1)[0], finite = fused_mlp(typed).isfinite().all(-1)[0];
    EXPECT_TRUE(wrong[1].item<bool>() && finite[0].item<bool>() && finite[2].item<bool>());
  }
}

}  // namespace
}  // namespace pathline

// SPDX-License-Identifier: Apache-2.0
// Group norm with SiLU in one pass against the formula in plain ATen.
#include <gtest/gtest.h>

#include <ATen/Parallel.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/silu.h>

#include <array>
#include <cmath>

#include "core/error.h"
#include "model/norm_silu.h"
#include "tests/model/formulas.h"

namespace pathline {
namespace {

using tests::Formula, tests::kHalfRounding, tests::kRounding, tests::noise, tests::Tensors;

at::Tensor over_places(const at::Tensor& terms) { return terms.unsqueeze(2).unsqueeze(3); }
at::Tensor plain_norm(const at::Tensor& x, const Tensors& in) { return at::group_norm(x, 32, in[1], in[2], 1e-5); }

struct Pair {
  const char* name;
  Formula ours, plain;
  std::size_t inputs;
};
// Inputs: x, weight, bias, then added, or scale and shift.
const std::vector<Pair> kPairs = {
    {"norm",
     [](const Tensors& in) {
       return model::norm_silu(in[0], {}, {in[1], in[2]});
     },
     [](const Tensors& in) { return at::silu(plain_norm(in[0], in)); }, 3},
    {"added",
     [](const Tensors& in) {
       return model::norm_silu(in[0], in[3], {in[1], in[2]});
     },
     [](const Tensors& in) { return at::silu(plain_norm(in[0] + over_places(in[3]), in)); }, 4},
    {"modulated",
     [](const Tensors& in) {
       return model::modulated_norm_silu(in[0], {in[1], in[2]}, in[3], in[4]);
     },
     [](const Tensors& in) {
       return at::silu(plain_norm(in[0], in) * (over_places(in[3]) + 1.0) + over_places(in[4]));
     },
     5}};

Tensors inputs_of(const Pair& pair, std::int64_t samples, std::int64_t channels, std::int64_t size) {
  Tensors all = {noise({samples, channels, size, size}, 1) * 2.0 + 1.0, noise({channels}, 2) * 0.3 + 1.0,
                 noise({channels}, 3), noise({samples, channels}, 4), noise({samples, channels}, 5)};
  all.resize(pair.inputs);
  return all;
}

TEST(NormSilu, HasTheValueAndGradientsOfItsFormula) {
  for (const Pair& pair : kPairs) {
    // At least two channels a group: what is added to the only one of a group has no gradient to compare.
    for (const auto& [samples, channels, size] :
         {std::array<std::int64_t, 3>{2, 64, 8}, {3, 64, 5}, {1, 96, 16}, {2, 128, 2}}) {
      const Tensors inputs = inputs_of(pair, samples, channels, size);
      EXPECT_LT(tests::worst_difference(pair.ours, pair.plain, inputs), 2 * kRounding) << pair.name << " " << channels;
      EXPECT_LT(tests::worst_difference(pair.ours, pair.plain, inputs, at::kBFloat16), kHalfRounding) << pair.name;
    }
  }
}

TEST(NormSilu, GivesTheSameBitsOnAnyNumberOfThreadsAndBesideAnyOthers) {
  const int threads = at::get_num_threads();
  for (const Pair& pair : kPairs) {
    const Tensors inputs = inputs_of(pair, 3, 64, 7);
    std::vector<Tensors> results;
    for (const int count : {1, 2, 3}) {
      at::set_num_threads(count);
      results.push_back(tests::value_and_gradients(pair.ours, inputs, at::kFloat));
    }
    at::set_num_threads(threads);
    for (std::size_t i = 0; i < results[0].size(); ++i) {
      EXPECT_TRUE(results[0][i].equal(results[1][i]) && results[0][i].equal(results[2][i])) << pair.name << i;
    }
    Tensors alone = inputs;
    for (const std::size_t i : {0, 3, 4}) {
      if (i < alone.size()) alone[i] = inputs[i].narrow(0, 1, 1);
    }
    EXPECT_TRUE(pair.ours(alone).equal(results[0][0].narrow(0, 1, 1))) << pair.name;
  }
}

TEST(NormSilu, RefusesSecondDerivatives) {
  const Tensors inputs = inputs_of(kPairs[0], 1, 32, 2);
  inputs[0].set_requires_grad(true);
  EXPECT_THROW(kPairs[0].ours(inputs).sum().backward({}, true, true), core::Error);
}

TEST(NormSilu, KeepsANotANumberInItsSample) {
  const Tensors inputs = inputs_of(kPairs[1], 3, 32, 4);
  inputs[0].mutable_data_ptr<float>()[inputs[0].stride(0) + 20] = std::nanf("");
  const at::Tensor out = kPairs[1].ours(inputs);
  EXPECT_TRUE(out[1].isnan().any().item<bool>());
  EXPECT_TRUE(out[0].isfinite().all().item<bool>() && out[2].isfinite().all().item<bool>());
}

}  // namespace
}  // namespace pathline

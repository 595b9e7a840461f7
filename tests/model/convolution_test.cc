// SPDX-License-Identifier: Apache-2.0
// Convolutions on the host against ATen's in double precision.
#include <gtest/gtest.h>

#include <ATen/Parallel.h>
#include <ATen/ops/conv2d.h>

#include <vector>

#include "core/error.h"
#include "model/convolution.h"
#include "tests/model/formulas.h"

namespace pathline {
namespace {

using tests::Formula, tests::kHalfRounding, tests::kRounding, tests::noise, tests::Tensors;

struct Case {
  std::int64_t samples, in, out, height, width, taps, stride;
};
const std::vector<Case> kMinimal = {{2, 32, 48, 8, 8, 3, 1},
                                    {3, 16, 16, 16, 10, 3, 1},
                                    {1, 272, 288, 8, 8, 3, 1},
                                    {5, 48, 32, 12, 12, 3, 1},
                                    {18, 16, 32, 8, 8, 3, 1}};
// Small or odd maps, channels that are no multiple of 16, one tap, stride 2.
const std::vector<Case> kDirect = {{2, 32, 48, 4, 4, 3, 1}, {2, 32, 48, 7, 9, 3, 1}, {2, 3, 32, 8, 8, 3, 1},
                                   {2, 32, 3, 8, 8, 3, 1},  {2, 40, 24, 8, 8, 3, 1}, {2, 32, 48, 8, 8, 1, 1},
                                   {2, 32, 48, 8, 8, 3, 2}};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.samples << " x " << c.in << " -> " << c.out << ", " << c.height << " x " << c.width << ", " << c.taps
             << " taps, stride " << c.stride;
}

Tensors inputs_of(const Case& c) {
  return {noise({c.samples, c.in, c.height, c.width}, 1), noise({c.out, c.in, c.taps, c.taps}, 2) * 0.1,
          noise({c.out}, 3)};
}

Formula ours(const Case& c) {
  return [c](const Tensors& in) { return model::host_convolution(in[0], in[1], in[2], c.stride); };
}
Formula plain(const Case& c) {
  return [c](const Tensors& in) {
    return at::conv2d(in[0], in[1], in[2], {c.stride, c.stride}, {c.taps / 2, c.taps / 2});
  };
}

TEST(HostConvolution, HasTheValueAndGradientsOfAtens) {
  for (const std::vector<Case>* cases : {&kMinimal, &kDirect}) {
    for (const Case& c : *cases) {
      EXPECT_LT(tests::worst_difference(ours(c), plain(c), inputs_of(c)), 2 * kRounding) << c;
      EXPECT_LT(tests::worst_difference(ours(c), plain(c), inputs_of(c), at::kBFloat16), kHalfRounding) << c;
    }
  }
}

TEST(HostConvolution, OfMinimalProductsGivesTheSameBitsOnAnyNumberOfThreadsAndBesideAnyOthers) {
  const int threads = at::get_num_threads();
  for (const Case& c : kMinimal) {
    const Tensors inputs = inputs_of(c);
    std::vector<Tensors> results;
    for (const int count : {1, 2, 3}) {
      at::set_num_threads(count);
      results.push_back(tests::value_and_gradients(ours(c), inputs, at::kFloat));
    }
    at::set_num_threads(threads);
    for (std::size_t i = 0; i < results[0].size(); ++i) {
      EXPECT_TRUE(results[0][i].equal(results[1][i]) && results[0][i].equal(results[2][i])) << c << ": " << i;
    }
    Tensors alone = inputs;
    alone[0] = inputs[0].narrow(0, c.samples - 1, 1);
    EXPECT_TRUE(ours(c)(alone).equal(results[0][0].narrow(0, c.samples - 1, 1))) << c;
  }
}

TEST(HostConvolution, ComputesOnlyTheGradientsAskedFor) {
  for (const Case& c : {kMinimal[0], kDirect[0]}) {
    const Tensors all = inputs_of(c), expected = tests::value_and_gradients(ours(c), all, at::kFloat);
    for (std::size_t asked = 0; asked < all.size(); ++asked) {
      Tensors inputs = all;
      inputs[asked] = inputs[asked].detach().clone().set_requires_grad(true);
      const at::Tensor value = ours(c)(inputs);
      (value * noise(value.sizes().vec(), 99)).sum().backward();
      EXPECT_TRUE(inputs[asked].grad().equal(expected[1 + asked])) << c << ": " << asked;
    }
  }
}

TEST(HostConvolution, RefusesSecondDerivatives) {
  const Tensors inputs = inputs_of(kMinimal[0]);
  inputs[0].set_requires_grad(true);
  EXPECT_THROW(ours(kMinimal[0])(inputs).sum().backward({}, true, true), core::Error);
}

}  // namespace
}  // namespace pathline

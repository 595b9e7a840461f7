// SPDX-License-Identifier: Apache-2.0
// Densities of flows that are known in closed form.
#include "sampler/likelihood.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/max.h>
#include <ATen/ops/roll.h>
#include <ATen/ops/round.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numbers>

#include "core/error.h"
#include "sampler/generate.h"
#include "sampler/row_check.h"
#include "tests/sampler/fields.h"

namespace pathline::sampler {
namespace {

constexpr double kMean = 0.7, kDeviation = 0.3;

double gaussian_log_p(const at::Tensor& x) {
  const at::Tensor z = (x.to(at::kDouble) - kMean) / kDeviation;
  const double each = std::log(kDeviation) + 0.5 * std::log(2 * std::numbers::pi);
  return -0.5 * (z * z).sum().item<double>() - static_cast<double>(x.numel()) * each;
}

std::map<std::int64_t, LogDensity> densities_of(const Field& field, const LikelihoodOptions& options,
                                                const std::vector<at::Tensor>& data, bool labelled = false) {
  std::map<std::int64_t, LogDensity> densities;
  std::size_t i = 0;
  const auto next = [&]() -> std::optional<Datum> {
    if (i == data.size()) return std::nullopt;
    const auto id = static_cast<std::int64_t>(i);
    return Datum{id, id, data[i++]};
  };
  log_densities(field, options, data[0].sizes().vec(), labelled, next,
                [&](const LogDensity& density) { densities[density.id] = density; });
  return densities;
}

std::vector<at::Tensor> gaussian_data(std::int64_t count, at::IntArrayRef shape) {
  std::vector<at::Tensor> data;
  for (std::int64_t i = 0; i < count; ++i) data.push_back(kMean + kDeviation * start_noise(8, i, shape));
  return data;
}

TEST(Likelihood, OfAGaussianIsItsDensity) {
  const auto data = gaussian_data(7, {3, 4, 4});
  for (const bool exact : {true, false}) {
    LikelihoodOptions options;
    options.exact = exact;
    options.probes = 2;
    options.slots = 4;
    options.solver.rtol = options.solver.atol = 1e-6;
    const auto densities = densities_of(tests::GaussianField{kMean, kDeviation}, options, data);
    ASSERT_EQ(densities.size(), data.size());
    for (const auto& [id, density] : densities) {
      // The field acts element by element: every probe of signs gives the divergence itself.
      EXPECT_NEAR(density.log_p, gaussian_log_p(data[id]), 1e-3) << (exact ? "exact" : "probes");
      EXPECT_LT(density.error, 1e-4);
      EXPECT_EQ(density.outcome, Outcome::kDone);
    }
  }
}

/// v = A x with a coupling between neighbours: the divergence is trace A everywhere, but probes see A's other entries.
at::Tensor coupled(const at::Tensor& x, const at::Tensor&, const at::Tensor&) { return 0.5 * x + at::roll(x, 1, 1); }

TEST(Likelihood, ProbesScatterAroundTheExactValueByTheirStandardError) {
  const std::vector<at::Tensor> data = {start_noise(8, 0, {12}), start_noise(8, 1, {12}), start_noise(8, 2, {12})};
  LikelihoodOptions options;
  options.slots = 16;
  options.exact = true;
  const auto exact = densities_of(coupled, options, data);
  options.exact = false;
  options.probes = 64;
  const auto estimated = densities_of(coupled, options, data);
  for (std::int64_t id = 0; id < 3; ++id) {
    EXPECT_EQ(exact.at(id).error, 0);
    EXPECT_GT(estimated.at(id).error, 0.05);
    EXPECT_LT(std::abs(estimated.at(id).log_p - exact.at(id).log_p), 4 * estimated.at(id).error);
  }
  // log p(x) = log N(e^{-A} x) - tr A; tr A = 12 * 0.5
  options.exact = true;
  options.solver.rtol = options.solver.atol = 1e-7;
  const double at_zero = densities_of(coupled, options, {at::zeros({12})}).at(0).log_p;
  EXPECT_NEAR(at_zero, -6 - 6 * std::log(2 * std::numbers::pi), 1e-4);
}

TEST(Likelihood, TheErrorControlWatchesTheDensity) {
  // x stays where it is, but the divergence oscillates: v = 0 at x = 0, dv/dx = 30 cos(30 t).
  const Field field = [](const at::Tensor& x, const at::Tensor& t, const at::Tensor&) {
    return 30 * at::cos(30 * tests::per_row(t, x)) * x;
  };
  LikelihoodOptions options;
  options.exact = true;
  options.slots = 16;
  options.solver.rtol = options.solver.atol = 1e-6;
  const auto density = densities_of(field, options, {at::zeros({1})}).at(0);
  EXPECT_NEAR(density.log_p, -std::sin(30.0) - 0.5 * std::log(2 * std::numbers::pi), 1e-4);
}

TEST(Likelihood, DependsOnIdSeedAndLabelNotOnWhatElseIsAsked) {
  const Field field = [](const at::Tensor& x, const at::Tensor&, const at::Tensor& labels) {
    return coupled(x, {}, {}) + tests::per_row(labels, x).to(at::kFloat);
  };
  const std::vector<at::Tensor> data = {start_noise(8, 0, {6}), start_noise(8, 1, {6}), start_noise(8, 2, {6})};
  LikelihoodOptions options;
  options.slots = 16;
  options.probes = 3;
  const auto all = densities_of(field, options, data, true);
  const auto first = densities_of(field, options, {data[0]}, true);
  EXPECT_EQ(first.at(0).log_p, all.at(0).log_p);
  options.seed = 1;
  EXPECT_NE(densities_of(field, options, {data[0]}, true).at(0).log_p, all.at(0).log_p);
}

TEST(Likelihood, IsTheSameBitsWhateverTheOrderInWhichItsProbesAreDone) {
  // near x = 0 the integral of z . dv/dx z = 5 cos(30 t) sum i z_i z_{i+1} alone decides about the steps
  const Field field = [](const at::Tensor& x, const at::Tensor& t, const at::Tensor&) {
    return 5 * at::cos(30 * tests::per_row(t, x)) * at::arange(6, at::kFloat) * at::roll(x, 1, 1);
  };
  std::vector<at::Tensor> data;
  for (std::int64_t id = 0; id < 6; ++id) data.push_back(0.01 * start_noise(8, id, {6}));
  LikelihoodOptions options;
  options.probes = 7;
  options.slots = 1;
  const auto one_by_one = densities_of(field, options, data);
  options.slots = 16;
  for (const auto& [id, density] : densities_of(field, options, data)) {
    EXPECT_EQ(density.log_p, one_by_one.at(id).log_p) << id;
    EXPECT_EQ(density.error, one_by_one.at(id).error) << id;
    EXPECT_EQ(density.nfe, one_by_one.at(id).nfe) << id;
  }
}

TEST(Likelihood, ANetworkWhoseDerivativesDependOnTheRowIsNoticed) {
  Job job;
  job.sample_shape = {6};
  job.slots = 16;
  check_rows_independent(with_derivative(tests::coupled_field), job);
  // v is the same in every row, dv/dx is not
  const Field uneven = [](const at::Tensor& x, const at::Tensor&, const at::Tensor&) {
    const at::Tensor zero = x - x.detach();
    return x.detach() + zero * at::arange(x.size(0), at::kFloat).unsqueeze(1);
  };
  check_rows_independent(uneven, job);
  EXPECT_THROW(check_rows_independent(with_derivative(uneven), job), core::Error);
}

TEST(Likelihood, BitsAndDequantisation) {
  // Uniform pixels: 256 cells of width 1 / 127.5, hence 8 bits.
  EXPECT_NEAR(bits_per_dimension(10 * std::log(127.5 / 256), 10), 8, 1e-12);
  const at::Tensor pixels = at::full({4, 4, 3}, 200, at::kByte);
  const at::Tensor x = dequantized(pixels, 1, 2, true);
  EXPECT_TRUE(at::equal(at::round((x + 1) * 127.5), at::full({4, 4, 3}, 200, at::kFloat)));
  EXPECT_GT(at::abs(x - dequantized(pixels, 1, 3, true)).max().item<float>(), 0.0f);
  EXPECT_EQ(dequantized(pixels, 1, 2, false)[0][0][0].item<float>(), 200.0f / 127.5f - 1);
}

TEST(Likelihood, RefusesWhatHasNoDensity) {
  const auto refused = [](const auto& change) {
    LikelihoodOptions options;
    change(options);
    EXPECT_THROW(densities_of(coupled, options, {at::zeros({4})}), core::Error);
  };
  refused([](LikelihoodOptions& o) { o.solver.solver = "em"; });
  refused([](LikelihoodOptions& o) { o.solver.guidance = 2; });
  refused([](LikelihoodOptions& o) { o.probes = 0; });
}

}  // namespace
}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
// Every sampler on a mixture of Gaussians whose field is known in closed form: the samples have the mixture's law. It is
// told by its characteristic function at six frequencies, each an average of bounded numbers with a known error.
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/log.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <complex>

#include "sampler/generate.h"
#include "sampler/noise_schedule.h"
#include "sampler/solver.h"
#include "tests/sampler/fields.h"

namespace pathline::sampler {
namespace {

constexpr std::int64_t kSamples = 1024;
// Of one average, in its standard errors; the largest of 12 averages of some 40 samplers is about 3.2.
constexpr double kErrors = 4.5;
// What the discretisation may add. The runs below have 120 to 250 steps and errors of first order.
constexpr double kBias = 0.02;

const std::array<std::array<double, 2>, 6> kFrequencies = {{{1, 0}, {0, 1}, {2, 1}, {-1, 3}, {4, 0}, {3, 3}}};

tests::MixtureField mixture() {
  return {at::tensor({0.8, 0.1, -0.6, 0.5, -0.1, -0.8}, at::kDouble).view({3, 2}),
          at::tensor({0.5, 0.3, 0.2}, at::kDouble), 0.15};
}

std::complex<double> exact_value(const std::array<double, 2>& w) {
  const tests::MixtureField field = mixture();
  std::complex<double> sum = 0;
  for (int k = 0; k < 3; ++k) {
    const double phase = w[0] * field.means[k][0].item<double>() + w[1] * field.means[k][1].item<double>();
    sum += field.weights[k].item<double>() * std::polar(1.0, phase);
  }
  return sum * std::exp(-0.5 * field.deviation * field.deviation * (w[0] * w[0] + w[1] * w[1]));
}

void expect_the_mixture(const SolverOptions& options, const Field& field) {
  Job job;
  job.sample_shape = {2};
  job.slots = kSamples;
  job.seed = 20;
  job.solver = options;
  std::array<std::complex<double>, 6> sums{};
  generate(field, job, 0, kSamples, [](std::int64_t) { return -1; }, [&](Sample&& sample) {
    ASSERT_EQ(sample.status, SampleStatus::kDone);
    const float* x = sample.value.const_data_ptr<float>();
    for (std::size_t i = 0; i < kFrequencies.size(); ++i) {
      sums[i] += std::polar(1.0, kFrequencies[i][0] * x[0] + kFrequencies[i][1] * x[1]);
    }
  });
  const double n = static_cast<double>(kSamples);
  for (std::size_t i = 0; i < kFrequencies.size(); ++i) {
    const std::complex<double> exact = exact_value(kFrequencies[i]);
    const double twice = exact_value({2 * kFrequencies[i][0], 2 * kFrequencies[i][1]}).real();
    const double error_of_cos = std::sqrt(((1 + twice) / 2 - exact.real() * exact.real()) / n);
    const double error_of_sin = std::sqrt(((1 - twice) / 2 - exact.imag() * exact.imag()) / n);
    const std::complex<double> difference = sums[i] / n - exact;
    EXPECT_LT(std::abs(difference.real()), kErrors * error_of_cos + kBias) << described(options) << " frequency " << i;
    EXPECT_LT(std::abs(difference.imag()), kErrors * error_of_sin + kBias) << described(options) << " frequency " << i;
  }
}

TEST(Marginals, DeterministicSolversGiveTheData) {
  for (const std::string& solver : solver_names()) {
    if (find_solver(solver).family == SolverFamily::kStochastic || solver == "ddpm") continue;  // below
    SolverOptions options;
    options.solver = solver;
    options.steps = solver == "euler" || solver == "ddim" ? 200 : 50;
    options.rtol = options.atol = 1e-3;
    options.t1 = solver == "dpmpp2m" || solver == "ddim" ? 1.0 : 0.999;  // the closed form divides by 1 - t
    expect_the_mixture(options, mixture());
  }
}

TEST(Marginals, StochasticSolversGiveTheDataWithEveryDiffusion) {
  for (const std::string diffusion : {"constant:0.3", "sbdm", "sigma", "linear", "decreasing", "inc-dec"}) {
    for (const std::string solver : {"em", "sheun", "pc"}) {
      SolverOptions options;
      options.solver = solver;
      options.diffusion = diffusion;
      options.steps = 120;
      options.last_step_size = 0.01;
      options.snr = 0.08;
      expect_the_mixture(options, mixture());
    }
  }
}

/// The mixture's noise predictor at the times of the discrete schedule.
at::Tensor noise_predictor(const at::Tensor& x, const at::Tensor& t, const at::Tensor&) {
  static const at::Tensor table = at::tensor(alpha_bars("ddpm-linear"), at::kDouble);
  const at::Tensor alpha_bar = table.index_select(0, t.to(at::kLong));
  const at::Tensor a = alpha_bar.sqrt(), s = (1 - alpha_bar).sqrt();
  return ((x - tests::per_row(a, x) * mixture().data_at(x, a, s)) / tests::per_row(s, x)).to(x.scalar_type());
}

/// With the v of a learned variance behind it: between the two fixed ones, elsewhere in every dimension.
at::Tensor noise_and_variance(const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
  const at::Tensor v = at::tensor({-0.5, 0.8}, x.options()).expand_as(x);
  return at::cat({noise_predictor(x, t, labels), v}, 1);
}

TEST(Marginals, DdpmAndDdimGiveTheData) {
  for (const std::string variance : {"fixed-small", "fixed-large"}) {
    SolverOptions options;
    options.solver = "ddpm";
    options.noise_schedule = "ddpm-linear";
    options.steps = 250;
    options.variance = variance;
    options.clip_denoised = false;  // the data are not confined to [-1, 1]
    expect_the_mixture(options, noise_predictor);
  }
  SolverOptions learned;
  learned.solver = "ddpm";
  learned.noise_schedule = "ddpm-linear";
  learned.steps = 250;
  learned.variance = "learned-range";
  learned.clip_denoised = false;
  expect_the_mixture(learned, noise_and_variance);
  for (const double eta : {0.0, 1.0}) {
    SolverOptions options;
    options.solver = "ddim";
    options.noise_schedule = "ddpm-linear";
    options.steps = 250;
    options.eta = eta;
    options.clip_denoised = false;
    expect_the_mixture(options, noise_predictor);
  }
}

}  // namespace
}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
// Guidance by labels and by a weaker network, against closed forms of the guided field and of where it leads.
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "sampler/generate.h"
#include "tests/sampler/fields.h"
#include "tests/sampler/integrate.h"

namespace pathline::sampler {
namespace {

using tests::integrate;

constexpr std::int64_t kClasses = 3, kNull = kClasses;
const std::vector<double> kWeights = {0.0, 0.5, 1.0, 2.0, 7.5};

// ---- the field ------------------------------------------------------------------------------------------------------
tests::MixtureField mixture() {
  return {at::tensor({0.8, 0.1, -0.6, 0.5, -0.1, -0.8}, at::kDouble).view({kClasses, 2}),
          at::tensor({0.5, 0.3, 0.2}, at::kDouble), 0.15};
}

/// A network that was trained with labels and, dropping them, without.
Field conditional_on(const flow::Path& path) {
  return [path](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    at::Tensor v = mixture().velocity_on(path, x, t);
    for (std::int64_t k = 0; k < kClasses; ++k) {
      v = at::where((labels == k).unsqueeze(1), mixture().component(k).velocity_on(path, x, t), v);
    }
    return v;
  };
}

/// With N the variance of all noise and V = a^2 d^2 + N, the data expected at x are N / V (m_k - sum_j p(j | x) m_j)
/// further off if they are known to be of class k, and the velocity (a' - a s s' / N) times that.
at::Tensor guided(const flow::Path& path, double weight, const at::Tensor& x, double time, const at::Tensor& labels) {
  const tests::MixtureField data = mixture();
  const at::Tensor t = at::full({x.size(0)}, time, at::kDouble);
  const flow::PathPoint p = path.at(time);
  const double noise = p.s * p.s + path.jitter() * path.jitter();
  const double variance = p.a * p.a * data.deviation * data.deviation + noise;
  const double factor = (p.da * noise - p.a * p.s * p.ds) / variance;
  const at::Tensor shares = data.logits_on(path, x, t).softmax(1);
  const at::Tensor apart = data.means.index_select(0, labels) - shares.matmul(data.means);
  return data.velocity_on(path, x, t) + weight * factor * apart;
}

/// What the solver is given: one step of Euler's over it.
at::Tensor seen_by_solver(const Field& field, double weight, const at::Tensor& x, double time,
                          const at::Tensor& labels) {
  SolverOptions euler;
  euler.solver = "euler";
  euler.steps = 1;
  euler.t0 = time;
  euler.t1 = time + 0.01;
  euler.guidance = weight;
  return (integrate(field, x, labels, kNull, euler) - x) / (euler.t1 - euler.t0);
}

TEST(GuidedFlow, FieldOfAMixtureIsItsClosedFormAtEveryWeight) {
  const at::Tensor number = at::arange(12, at::kDouble), labels = at::arange(12, at::kLong).remainder(kClasses);
  const at::Tensor x = at::stack({1.3 * number.sin(), (2 * number).cos()}, 1);
  for (const std::string text : {"linear", "icfm:0.3", "cosine", "vp", "ve:0.02,5"}) {
    const flow::Path path = flow::Path::parse(text);
    for (const double weight : kWeights) {
      for (const double time : {0.1, 0.5, 0.9}) {
        const at::Tensor expected = guided(path, weight, x, time, labels);
        const at::Tensor off = seen_by_solver(conditional_on(path), weight, x, time, labels) - expected;
        // fp64: round-off of x, a hundred times larger after the division by the step
        EXPECT_LT(off.abs().max().item<double>(), 1e-11 * (1 + expected.abs().max().item<double>()))
            << text << ", weight " << weight << " at " << time;
      }
    }
  }
}

// ---- where it leads -------------------------------------------------------------------------------------------------
/// N(mean, deviation^2) in every element, on the linear path.
struct Normal {
  double mean = 0, deviation = 1;

  at::Tensor velocity(const at::Tensor& x, const at::Tensor& t) const {
    return tests::GaussianField{mean, deviation}(x, t, {});
  }
  double sigma(double t) const { return std::hypot(t * deviation, 1 - t); }
};

/// Label 0 asks for `conditional`, the null label for `null`.
Field labelled(const Normal& conditional, const Normal& null) {
  return [=](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    return at::where((labels == 0).unsqueeze(1), conditional.velocity(x, t), null.velocity(x, t));
  };
}

const at::Tensor& starts() {
  static const at::Tensor x0 = at::linspace(-2, 2, 12, at::kDouble).view({6, 2});
  return x0;
}

SolverOptions exact_solver(double weight, double from = 0, double to = 1) {
  SolverOptions solver;
  solver.solver = "dopri5";
  solver.rtol = solver.atol = 1e-8;
  solver.guidance = weight;
  solver.guidance_from = from;
  solver.guidance_to = to;
  return solver;
}

at::Tensor ends_of(const Field& field, const SolverOptions& solver) {
  return integrate(field, starts(), at::zeros({starts().size(0)}, at::kLong), 1, solver);
}

void expect_near(const at::Tensor& ends, const at::Tensor& expected, double weight) {
  EXPECT_LT((ends - expected).abs().max().item<double>(), 1e-6) << weight;  // some 30 steps, each within 1e-8
}

TEST(GuidedFlow, BetweenLawsOfOneDeviationMovesTheMeanBeyond) {
  const Normal conditional{0.7, 0.3}, null{-0.2, 0.3};
  for (const double weight : kWeights) {
    const double mean = null.mean + weight * (conditional.mean - null.mean);
    expect_near(ends_of(labelled(conditional, null), exact_solver(weight)), mean + 0.3 * starts(), weight);
  }
}

/// The velocity of a law around 0 is x sigma'/sigma, so the guided one is x ((1 - W) sigma_n'/sigma_n + W
/// sigma_c'/sigma_c): by what it multiplies x between two times.
double stretched(const Normal& conditional, const Normal& null, double weight, double from, double to) {
  const auto grown = [&](const Normal& law) { return law.sigma(to) / law.sigma(from); };
  return std::pow(grown(null), 1 - weight) * std::pow(grown(conditional), weight);
}

TEST(GuidedFlow, BetweenLawsOfOneMeanNarrowsByAPowerOfTheirDeviations) {
  const Normal conditional{0, 0.4}, null{0, 0.8};
  for (const double weight : kWeights) {
    expect_near(ends_of(labelled(conditional, null), exact_solver(weight)),
                std::pow(0.8, 1 - weight) * std::pow(0.4, weight) * starts(), weight);
  }
}

TEST(GuidedFlow, InAnIntervalIsTheConditionalOneOutsideIt) {
  const Normal conditional{0, 0.4}, null{0, 0.8};
  constexpr double kFrom = 0.23, kTo = 0.71;
  const double outside = conditional.sigma(kFrom) * conditional.sigma(1) / conditional.sigma(kTo);  // sigma(0) = 1
  for (const double weight : kWeights) {
    expect_near(ends_of(labelled(conditional, null), exact_solver(weight, kFrom, kTo)),
                outside * stretched(conditional, null, weight, kFrom, kTo) * starts(), weight);
  }
}

TEST(GuidedFlow, ByAWeakerNetworkLeadsAwayFromIt) {
  const Normal strong{0.5, 0.4}, weak{0.5, 0.6};  // the weaker one knows where, and blurs
  const auto of = [](const Normal& law) {
    return [law](const at::Tensor& x, const at::Tensor& t, const at::Tensor&) { return law.velocity(x, t); };
  };
  for (const double weight : kWeights) {
    Job job;
    job.sample_shape = {2};
    job.slots = 4;
    job.seed = 3;
    job.solver = exact_solver(weight);
    job.guide = of(weak);
    const double deviation = std::pow(weak.deviation, 1 - weight) * std::pow(strong.deviation, weight);
    generate(
        of(strong), job, 0, 6, [](std::int64_t) { return -1; },
        [&](Sample&& sample) {
          const at::Tensor expected = 0.5 + deviation * start_noise(job.seed, sample.id, job.sample_shape);
          // fields of a job see fp32: 6e-8 of x and t, magnified by W in the difference of two velocities
          EXPECT_LT((sample.value - expected).abs().max().item<double>(), 1e-5 * (1 + weight)) << weight;
        });
  }
}

}  // namespace
}  // namespace pathline::sampler

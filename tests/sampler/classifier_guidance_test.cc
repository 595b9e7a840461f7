// SPDX-License-Identifier: Apache-2.0
// The oracle is Bayes' rule: with the exact p(class | x, t) of a mixture of Gaussians as classifier, the unconditional
// field guided with scale 1 is the field of that class alone.
#include "sampler/classifier_guidance.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "core/error.h"
#include "sampler/generate.h"
#include "sampler/noise_schedule.h"
#include "sampler/path_field.h"
#include "sampler/solver.h"
#include "tests/sampler/fields.h"

namespace pathline::sampler {
namespace {

constexpr std::int64_t kClasses = 3;

tests::MixtureField mixture() {
  return {at::tensor({0.8, 0.1, -0.6, 0.5, -0.1, -0.8}, at::kDouble).view({kClasses, 2}),
          at::tensor({0.5, 0.3, 0.2}, at::kDouble), 0.15};
}

/// One of several values by a row's label.
template <class OfClass>
at::Tensor chosen(const at::Tensor& labels, const at::Tensor& x, const OfClass& of_class) {
  at::Tensor all = at::zeros(x.sizes(), x.options());
  for (std::int64_t k = 0; k < kClasses; ++k) all = at::where(tests::per_row(labels == k, x), of_class(k), all);
  return all;
}

at::Tensor velocity_of_class(const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
  return chosen(labels, x, [&](std::int64_t k) { return mixture().component(k)(x, t, {}); });
}

at::Tensor flow_classifier(const at::Tensor& x, const at::Tensor& t) { return mixture().logits_at(x, t, 1 - t); }

/// The same on any path.
Field marginal_on(const flow::Path& path) {
  return
      [path](const at::Tensor& x, const at::Tensor& t, const at::Tensor&) { return mixture().velocity_on(path, x, t); };
}

Field of_class_on(const flow::Path& path) {
  return [path](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    return chosen(labels, x, [&](std::int64_t k) { return mixture().component(k).velocity_on(path, x, t); });
  };
}

Classifier classifier_on(const flow::Path& path) {
  return [path](const at::Tensor& x, const at::Tensor& t) { return mixture().logits_on(path, x, t); };
}

Field push_on(const flow::Path& path, double scale = 1.0) {
  return velocity_push(log_probability_gradient(classifier_on(path)), scale, path);
}

/// Shares of data and noise at discrete times (S), fp64.
std::pair<at::Tensor, at::Tensor> shares_at(const at::Tensor& t) {
  static const at::Tensor table = at::tensor(alpha_bars("ddpm-linear"), at::kDouble);
  const at::Tensor alpha_bar = table.index_select(0, t.to(at::kLong));
  return {alpha_bar.sqrt(), (1 - alpha_bar).sqrt()};
}

at::Tensor noise_in(const tests::MixtureField& field, const at::Tensor& x, const at::Tensor& t) {
  const auto [a, s] = shares_at(t);
  return ((x - tests::per_row(a, x) * field.data_at(x, a, s)) / tests::per_row(s, x)).to(x.scalar_type());
}

at::Tensor noise_of_class(const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
  return chosen(labels, x, [&](std::int64_t k) { return noise_in(mixture().component(k), x, t); });
}

at::Tensor diffusion_classifier(const at::Tensor& x, const at::Tensor& t) {
  const auto [a, s] = shares_at(t);
  return mixture().logits_at(x, a, s);
}

/// Rows of all classes around the origin.
struct Rows {
  at::Tensor x, labels;
};
Rows rows_of(at::ScalarType type) {
  const at::Tensor number = at::arange(12, at::kDouble);
  const at::Tensor x = at::stack({1.3 * number.sin(), (2 * number).cos()}, 1);
  return {x.to(type), at::arange(12, at::kLong).remainder(kClasses)};
}

double largest(const at::Tensor& difference) { return at::abs(difference).max().item<double>(); }

TEST(ClassifierGuidance, OfTheExactClassifierMakesTheVelocityThatOfTheClassOnEveryPath) {
  for (const auto& [type, tolerance] : {std::pair{at::kDouble, 1e-11}, std::pair{at::kFloat, 1e-5}}) {
    const auto [x, labels] = rows_of(type);
    for (const std::string text : {"linear", "linear:0.1", "icfm:0.1", "icfm:0.5", "polynomial:2", "cosine",
                                   "linear-vp", "vp", "ou:3", "ve:0.02,5"}) {
      const flow::Path path = flow::Path::parse(text);
      for (const double time : {0.05, 0.3, 0.7, 0.95}) {
        const at::Tensor t = at::full({12}, time, type);
        const at::Tensor expected = of_class_on(path)(x, t, labels);
        EXPECT_LT(largest(marginal_on(path)(x, t, {}) + push_on(path)(x, t, labels) - expected),
                  tolerance * (1 + largest(expected)))
            << text << " at " << time;
      }
    }
  }
}

TEST(ClassifierGuidance, HasALimitAtTheNoise) {
  // a' times E[data | class] - E[data]; the gradient is taken at t = 1e-3, which is as far off.
  const auto [x, labels] = rows_of(at::kDouble);
  const tests::MixtureField field = mixture();
  const at::Tensor expected = field.means.index_select(0, labels) - (field.weights.unsqueeze(1) * field.means).sum(0);
  for (const std::string text : {"linear", "icfm:0.5", "cosine"}) {
    const flow::Path path = flow::Path::parse(text);
    const at::Tensor at_noise = push_on(path)(x, at::zeros({12}, at::kDouble), labels);
    EXPECT_LT(largest(at_noise - path.at(0).da * expected), 1e-2) << text;
  }
}

TEST(ClassifierGuidance, IsLinearInItsScale) {
  const auto [x, labels] = rows_of(at::kDouble);
  const at::Tensor t = at::full({12}, 0.4, at::kDouble);
  const flow::Path path = flow::Path::parse("cosine");
  EXPECT_LT(largest(push_on(path, 3.5)(x, t, labels) - 3.5 * push_on(path, 1)(x, t, labels)), 1e-13);
}

TEST(ClassifierGuidance, OfTheExactClassifierMakesTheNoiseThatOfTheClass) {
  const auto [x, labels] = rows_of(at::kDouble);
  const Field push = noise_push(log_probability_gradient(diffusion_classifier), 1.0, "ddpm-linear");
  for (const double index : {0.0, 10.0, 400.0, 999.0}) {
    const at::Tensor t = at::full({12}, index, at::kDouble);
    EXPECT_LT(largest(noise_in(mixture(), x, t) + push(x, t, labels) - noise_of_class(x, t, labels)), 1e-10) << index;
  }
}

Job job_with(const std::string& solver) {
  Job job;
  job.sample_shape = {2};
  job.slots = 16;
  job.seed = 7;
  job.solver.solver = solver;
  job.solver.steps = 20;
  return job;
}

std::map<std::int64_t, Sample> samples_of(const Field& field, const Job& job) {
  std::map<std::int64_t, Sample> samples;
  generate(
      field, job, 0, 9, [](std::int64_t id) { return id % kClasses; },
      [&](Sample&& sample) {
        EXPECT_EQ(sample.status, SampleStatus::kDone);
        samples.emplace(sample.id, std::move(sample));
      });
  return samples;
}

/// Both with the same noise. What is left between them is the gradient at t = 1e-3 in place of 0, and round-off.
void expect_the_class(const Job& job, const Field& field, const Field& of_class, const Classifier& classifier) {
  Job guided = job, labelled = job;
  guided.classifier = log_probability_gradient(classifier);
  guided.solver.classifier_scale = 1.0;
  labelled.null_label = kClasses;
  const auto expected = samples_of(of_class, labelled);
  for (const auto& [id, sample] : samples_of(field, guided)) {
    EXPECT_LT(largest(sample.value - expected.at(id).value), 1e-3) << described(job.solver) << " sample " << id;
  }
}

TEST(ClassifierGuidance, LeadsEverySolverOfVelocitiesToTheClass) {
  for (const std::string solver : {"euler", "heun", "dopri5", "ab2", "dpmpp2m", "ddim", "em", "sheun", "pc"}) {
    Job job = job_with(solver);
    if (solver == "heun" || solver == "dopri5") job.solver.t1 = 0.99;  // the closed form is 0 / 0 at 1, where they ask
    expect_the_class(job, mixture(), velocity_of_class, flow_classifier);
  }
}

TEST(ClassifierGuidance, LeadsToTheClassAlongEveryPath) {
  for (const std::string text : {"icfm:0.3", "cosine", "vp", "ve:0.02,5"}) {
    const flow::Path path = flow::Path::parse(text);
    Job job = job_with("heun");
    follow_path(job.solver, {path, "velocity", "auto"}, "");
    job.solver.t1 = std::min(job.solver.t1, 0.99);  // the closed form is 0 / 0 at 1
    expect_the_class(job, marginal_on(path), of_class_on(path), classifier_on(path));
  }
}

// Bayes' rule: the conditional velocity less the marginal one is the push of the exact classifier, so that guidance
// with and without a classifier are one field.
TEST(ClassifierGuidance, IsWhatGuidanceWithoutAClassifierIsAtEveryWeight) {
  const Field network = [](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    return at::where(tests::per_row(labels == kClasses, x), mixture()(x, t, {}), velocity_of_class(x, t, labels));
  };
  for (const double weight : {0.5, 1.0, 3.0}) {
    Job with = job_with("heun");
    with.solver.t1 = 0.99;
    Job without = with;
    with.classifier = log_probability_gradient(flow_classifier);
    with.solver.classifier_scale = weight;
    without.solver.guidance = weight;
    without.null_label = kClasses;
    const auto expected = samples_of(mixture(), with);
    for (const auto& [id, sample] : samples_of(network, without)) {
      EXPECT_LT(largest(sample.value - expected.at(id).value), 1e-3) << "weight " << weight << ", sample " << id;
    }
  }
}

TEST(ClassifierGuidance, LeadsSolversOfNoisePredictorsToTheClass) {
  for (const std::string solver : {"ddim", "ddpm"}) {
    Job job = job_with(solver);
    job.solver.noise_schedule = "ddpm-linear";
    const Field noise = [](const at::Tensor& x, const at::Tensor& t, const at::Tensor&) {
      return noise_in(mixture(), x, t);
    };
    expect_the_class(job, noise, noise_of_class, diffusion_classifier);
  }
}

TEST(ClassifierGuidance, IsAskedInsideTheIntervalOnlyAndCountsOne) {
  Job job = job_with("euler");
  job.solver.steps = 10;
  job.solver.guidance_from = 0.3;
  job.solver.guidance_to = 0.8;
  job.solver.classifier_scale = 2.0;
  job.classifier = [](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    // Rows that no sample waits for are zero.
    EXPECT_TRUE(((t == kFirstClassifierTime).logical_or(t >= 0.3f).logical_and(t <= 0.8f)).all().item<bool>());
    return log_probability_gradient(flow_classifier)(x, t, labels);
  };
  for (const auto& [id, sample] : samples_of(mixture(), job)) EXPECT_EQ(sample.nfe, 15);
}

core::ExitCode code_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const core::Error& error) {
    return error.code();
  }
  return core::ExitCode::kFinished;
}

TEST(ClassifierGuidance, RefusesSamplesWithoutALabelAndWhatIsNoClassifier) {
  Job job = job_with("euler");
  job.classifier = log_probability_gradient(flow_classifier);
  job.solver.classifier_scale = 1.0;
  const auto unlabelled = [](std::int64_t) { return std::int64_t{-1}; };
  EXPECT_EQ(code_of([&] { generate(mixture(), job, 0, 2, unlabelled, [](Sample&&) {}); }), core::ExitCode::kUsage);
  const auto [x, labels] = rows_of(at::kFloat);
  const at::Tensor t = at::full({12}, 0.5);
  const Field shapeless = log_probability_gradient([](const at::Tensor& y, const at::Tensor&) { return y.sum(1); });
  EXPECT_EQ(code_of([&, &x = x, &labels = labels] { shapeless(x, t, labels); }), core::ExitCode::kInput);
  const Field blind = log_probability_gradient([](const at::Tensor&, const at::Tensor&) { return at::zeros({12, 3}); });
  EXPECT_EQ(code_of([&, &x = x, &labels = labels] { blind(x, t, labels); }), core::ExitCode::kInput);
}

}  // namespace
}  // namespace pathline::sampler

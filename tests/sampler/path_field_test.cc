// SPDX-License-Identifier: Apache-2.0
// Any path, any prediction: networks that answer exactly for Gaussian data lead every solver to the closed form.
#include "sampler/path_field.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "flow/interpolate.h"
#include "sampler/checkpointed_model.h"
#include "sampler/generate.h"
#include "sampler/noise_schedule.h"
#include "tests/flow/table_path.h"
#include "tests/model/support.h"

namespace pathline::sampler {
namespace {

using flow::Parameterisation;
using flow::Path;
using flow::PathPoint;

/// Those whose noise is x0 alone.
const std::vector<std::string> kPaths = {"linear", "linear:0.1", "polynomial:2",       "cosine", "linear-vp", "vp",
                                         "ou:4",   "ve:0.02,5",  tests::cosine_table()};
const std::vector<std::string> kPredictions = {"velocity", "x1", "noise", "score", "edm", "ddpm"};

/// Every element of the data is N(m, d^2).
constexpr double kMean = 0.6, kDeviation = 0.4;

/// `jitter`: the deviation of noise beside x0.
double variance_at(const PathPoint& p, double jitter = 0) {
  return p.a * p.a * kDeviation * kDeviation + p.s * p.s + jitter * jitter;
}
double expected_x1(const PathPoint& p, double x, double jitter = 0) {
  return kMean + p.a * kDeviation * kDeviation / variance_at(p, jitter) * (x - p.a * kMean);
}
double expected_x0(const PathPoint& p, double x, double jitter = 0) {
  return p.s / variance_at(p, jitter) * (x - p.a * kMean);
}

/// answer(t, x) of every element.
Field by_element(std::function<double(double t, double x)> answer) {
  return [answer](const at::Tensor& x, const at::Tensor& t, const at::Tensor&) {
    const at::Tensor in = x.to(at::kDouble).contiguous(), times = t.to(at::kDouble).contiguous();
    at::Tensor out = at::empty_like(in);
    const std::int64_t row = in.numel() / in.size(0);
    for (std::int64_t i = 0; i < in.numel(); ++i) {
      out.mutable_data_ptr<double>()[i] =
          answer(times.const_data_ptr<double>()[i / row], in.const_data_ptr<double>()[i]);
    }
    return out.to(x.scalar_type());
  };
}

/// The network that `trained` makes of these data: the expected target at what it is given. EDM is given ln(sigma) / 4,
/// DDPM the linear path's time of the same noise level.
Field exact_answers(const Parameterisation& trained, bool ddpm = false) {
  return by_element([trained, ddpm](double time, double input) {
    const double ratio = ddpm ? time / (1 - time) : std::exp(-4 * time);  // a / s
    const double t = ddpm || trained.gives_own_time() ? trained.path().time_of(ratio) : time;
    const PathPoint p = trained.path().at(t);
    const double x = input / trained.sampling_row(t).input;
    const flow::TrainingRow row = trained.training_row(t);
    const double jitter = trained.path().jitter();
    return row.target_x1 * expected_x1(p, x, jitter) + row.target_x0 * expected_x0(p, x, jitter);
  });
}

/// Where the exact flow between the times of `options` takes a noise x0.
double exact_end(const SolverOptions& options, double x0) {
  const Path path = Path::parse(options.path);
  const PathPoint begin = path.at(options.t0), end = path.at(options.t1);
  const double start = std::hypot(begin.s, path.jitter()) * x0;  // of the law of all noise that is in x_t there
  const double z = (start - begin.a * kMean) / std::sqrt(variance_at(begin, path.jitter()));
  const double x = end.a * kMean + std::sqrt(variance_at(end, path.jitter())) * z;
  return options.denoise ? expected_x1(end, x) : x;
}

Job job_for(const std::string& solver, const Parameterisation& trained, const std::string& wanted = "") {
  Job job;
  job.sample_shape = {4};
  job.slots = 4;
  job.seed = 5;
  job.solver.solver = solver;
  job.solver.rtol = job.solver.atol = 1e-6;
  follow_path(job.solver, trained, wanted);
  return job;
}

/// Largest distance of samples 0 to 3 from the closed form.
double error_of(const Field& field, const Job& job) {
  double error = 0;
  generate(
      field, job, 0, 4, [](std::int64_t) { return -1; },
      [&](Sample&& sample) {
        EXPECT_EQ(sample.outcome, Outcome::kDone);
        const at::Tensor x0 = start_noise(job.seed, sample.id, job.sample_shape);
        for (std::int64_t i = 0; i < 4; ++i) {
          const double expected = exact_end(job.solver, x0[i].item<float>());
          error = std::max(error, std::abs(sample.value[i].item<float>() - expected));
        }
      });
  return error;
}

TEST(PathField, NarrowedTimesBeginOnTheNoiseThereAndEndOnTheState) {
  for (const std::string& path : kPaths) {
    // The tolerance is 1e-6 a step. A table's second derivative jumps at its knots, which costs it more steps.
    const double bar = path.starts_with("table:") ? 1e-4 : 2e-5;
    for (const std::string prediction : {"velocity", "noise"}) {
      const Parameterisation trained(Path::parse(path), prediction, "auto");
      const Field field = velocity_of(exact_answers(trained), trained);
      Job job = job_for("dopri5", trained);
      narrow_times(job.solver, 0.25, 0.75);
      EXPECT_EQ(job.solver.start_scale, Path::parse(path).noise_at(0.25));
      EXPECT_LT(error_of(field, job), bar) << path << ", " << prediction;
      Job to_data = job_for("dopri5", trained);
      const bool denoise = to_data.solver.denoise;
      narrow_times(to_data.solver, 0.25, {});
      EXPECT_EQ(to_data.solver.denoise, denoise);
      EXPECT_LT(error_of(field, to_data), bar) << path << ", " << prediction;
    }
  }
}

TEST(PathField, RefusesTimesThatAreNoIntervalOfThePath) {
  const Parameterisation noise(Path::parse("linear"), "noise", "auto");
  using Time = std::optional<double>;
  for (const auto& [t0, t1] : std::vector<std::pair<Time, Time>>{
           {0.5, 0.5}, {0.7, 0.3}, {-0.1, {}}, {{}, 1.5}, {0.0, {}}, {std::nan(""), {}}, {{}, std::nan("")}}) {
    Job job = job_for("dopri5", noise);  // has times from 1e-3 on
    EXPECT_THROW(narrow_times(job.solver, t0, t1), core::Error);
  }
  Job stochastic = job_for("em", Parameterisation(Path::parse("linear"), "velocity", "auto"));
  narrow_times(stochastic.solver, {}, 0.5);
  EXPECT_THROW(method_maker<float>(stochastic.solver, 4, step_noise(0)), core::Error);
}

TEST(PathField, EveryPredictionOnEveryPathLeadsToTheClosedForm) {
  for (const std::string& path : kPaths) {
    for (const std::string& predict : kPredictions) {
      const Parameterisation trained(Path::parse(path), predict, "auto");
      const Job job = job_for("dopri5", trained);
      const Field field = velocity_of(exact_answers(trained, predict == "ddpm"), trained);
      // The tolerance is 1e-6 a step; x and t reach networks in fp32: 1e-7 of them, next to a singular end times 1e3.
      EXPECT_LT(error_of(field, job), 2e-4) << path << " " << predict;
    }
  }
}

TEST(PathField, NoiseBesideThePathIsPartOfTheFlow) {
  for (const std::string path : {"icfm:0.1", "icfm:0.7"}) {
    const Parameterisation trained(Path::parse(path), "velocity", "auto");
    for (const std::string solver : {"dopri5", "heun", "ab2"}) {
      Job job = job_for(solver, trained);
      job.solver.steps = 400;  // second order: errors of 1 / 400^2 times a third derivative below 20
      EXPECT_LT(error_of(exact_answers(trained), job), 2e-4) << path << " " << solver;
    }
  }
}

TEST(PathField, AModelFollowsAnotherPathThanItWasTrainedOn) {
  for (const std::string& trained_on : {std::string("linear"), std::string("cosine"), std::string("polynomial:2"),
                                        std::string("vp"), tests::cosine_table()}) {
    const Parameterisation trained(Path::parse(trained_on), "velocity", "auto");
    for (const std::string wanted : {"linear", "cosine", "linear-vp", "vp", "ve:0.02,5"}) {
      const Job job = job_for("dopri5", trained, wanted);
      const Field field = velocity_of(exact_answers(trained), trained);
      const Field moved = job.solver.path == trained_on ? field : along_path(field, trained, Path::parse(wanted));
      EXPECT_LT(error_of(moved, job), 2e-4) << trained_on << " along " << wanted;
    }
  }
}

TEST(PathField, AnotherPathEndsWhereTheOneTrainedOnDoes) {
  const Parameterisation trained(Path::parse("linear"), "velocity", "auto");
  const Field field = exact_answers(trained);
  std::map<std::int64_t, at::Tensor> own;
  const auto unlabelled = [](std::int64_t) { return -1; };
  generate(field, job_for("dopri5", trained), 0, 4, unlabelled, [&](Sample&& s) { own[s.id] = s.value; });
  for (const std::string wanted : {"cosine", "vp", "polynomial:2"}) {
    generate(along_path(field, trained, Path::parse(wanted)), job_for("dopri5", trained, wanted), 0, 4, unlabelled,
             [&](Sample&& sample) {
               // It begins 1e-3 (vp: a(0) = 0.0066) away from the noise and takes it for noise alone.
               EXPECT_LT((sample.value - own.at(sample.id)).abs().max().item<float>(), 1e-2) << wanted;
             });
  }
}

TEST(PathField, PredictorsOfTheDataConvergeOnEveryPath) {
  for (const std::string& path : kPaths) {
    const Parameterisation trained(Path::parse(path), "velocity", "auto");
    for (const auto& [solver, steps, bound] : {std::tuple{"dpmpp2m", 400, 2e-3}, std::tuple{"ddim", 2000, 5e-3}}) {
      Job job = job_for(solver, trained);
      job.solver.steps = steps;
      EXPECT_EQ(job.solver.t1, 1);
      // The last step ends on the expected data, which lies z s^2 / 2 d nearer to the mean than the flow's end.
      const double s = trained.path().at(1 - 1.0 / steps).s;
      EXPECT_LT(error_of(exact_answers(trained), job), bound + 4 * s * s) << solver << " on " << path;
    }
  }
}

TEST(PathField, StochasticSolversKeepTheMarginalsOnEveryPath) {
  for (const std::string path : {"cosine", "vp", "ve:0.02,5"}) {
    const Parameterisation trained(Path::parse(path), "velocity", "auto");
    for (const std::string solver : {"em", "sheun", "pc"}) {
      Job job = job_for(solver, trained);
      job.sample_shape = {500};
      job.solver.steps = 200;
      job.solver.diffusion = "sbdm";
      job.solver.last_step_size = 1e-3;  // vp: s = 0.01 is left
      double sum = 0, squares = 0;
      constexpr double kCount = 8 * 500;
      generate(
          exact_answers(trained), job, 0, 8, [](std::int64_t) { return -1; },
          [&](Sample&& sample) {
            sum += sample.value.sum().item<double>();
            squares += (sample.value - kMean).square().sum().item<double>();
          });
      // four standard errors and 2 % for the steps and what the last one leaves out
      EXPECT_NEAR(sum / kCount, kMean, 4 * kDeviation / std::sqrt(kCount) + 0.02 * kDeviation) << solver << " " << path;
      EXPECT_NEAR(std::sqrt(squares / kCount) / kDeviation, 1, 4 / std::sqrt(2 * kCount) + 0.04)
          << solver << " " << path;
    }
  }
}

TEST(PathField, NoiseAtIndicesIsThatOfTheDiscreteSchedule) {
  const std::vector<double> bars = alpha_bars("ddpm-linear");
  for (const std::string path : {"linear", "cosine", "vp", "ve:0.005,200"}) {
    const Parameterisation trained(Path::parse(path), "velocity", "auto");
    const Field noise = noise_at_indices(exact_answers(trained), trained, "ddpm-linear");
    const Field expected = by_element([&](double index, double x) {
      const double bar = bars.at(static_cast<std::size_t>(index));
      return expected_x0({std::sqrt(bar), std::sqrt(1 - bar), 0, 0}, x);
    });
    const at::Tensor x = at::linspace(-2, 2, 12, at::kDouble).view({4, 3});
    const at::Tensor index = at::tensor({20.0, 200.0, 600.0, 940.0}, at::kDouble);
    EXPECT_LT((noise(x, index, {}) - expected(x, index, {})).abs().max().item<double>(), 1e-9) << path;
  }
}

/// DiT and ADM as they were trained: on any path the noise that the velocity implies is what the original answers for
/// the state and the index of the same noise level.
TEST(PathField, ImportedNoisePredictorsAreVelocities) {
  model::ModelOptions options = tests::tiny_transformer();
  options.name = "DiT";
  options.learn_sigma = true;
  options.classes = 0;
  options.time_input = "ddpm999";
  const auto network = model::make_model(options, 1);
  tests::set_formula_weights(*network);
  const at::NoGradGuard no_grad;
  const at::Tensor state = tests::noise({4, 3, 8, 8}, 1);  // of variance 1, as the original is given
  for (const std::string path : {"linear", "cosine", "vp"}) {
    const Parameterisation trained(Path::parse(path), "ddpm", "auto");
    const Field velocity = velocity_of(field_of(*network), trained);
    for (const std::int64_t index : {20, 400, 900}) {
      const double bar = alpha_bars("ddpm-linear")[static_cast<std::size_t>(index)];
      const double t = trained.path().time_of(std::sqrt(bar / (1 - bar)));
      const PathPoint p = trained.path().at(t);
      const at::Tensor x = (state * std::hypot(p.a, p.s)).to(at::kDouble), times = at::full({4}, t, at::kDouble);
      const flow::OfState noise = flow::noise_of(p);
      const at::Tensor implied = noise.x * x + noise.v * velocity(x, times, {});
      const at::Tensor original =
          network->forward_as_original(state, at::full({4}, static_cast<float>(index)), {}).narrow(1, 0, 3);
      EXPECT_LT((implied - original).abs().max().item<double>(), 2e-4) << path << " at index " << index;
    }
  }
}

TEST(PathField, SolversThatNeedTheNoiseRefuseAPathThatHasMore) {
  const Parameterisation trained(Path::parse("icfm:0.1"), "velocity", "auto");
  for (const char* solver : {"em", "sheun", "pc", "dpmpp2m", "ddim"}) {
    EXPECT_THROW(method_maker<float>(job_for(solver, trained).solver, 4, step_noise(1)), core::Error) << solver;
  }
  EXPECT_NO_THROW(method_maker<float>(job_for("dopri5", trained).solver, 4, {}));
  EXPECT_THROW(job_for("heun", trained, "cosine"), core::Error);
}

}  // namespace
}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
// What networks predict: exact answers imply the path's velocity, weights are what they are called, ends are bounded.
#include "flow/parameterisation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/error.h"
#include "flow/flow_options.h"

namespace pathline::flow {
namespace {

const std::vector<std::string> kPaths = {"linear",    "linear:0.1", "polynomial:2", "cosine",
                                         "linear-vp", "vp",         "ou:3",         "ve:0.02,5"};
const std::vector<std::string> kPredictions = {"velocity", "x1", "noise", "score", "edm", "edm:1", "ddpm"};
const std::vector<double> kTimes = {0.02, 0.3, 0.7, 0.98};

Parameterisation made(const std::string& path, const std::string& predict, const std::string& weight = "auto") {
  return {Path::parse(path), predict, weight};
}

TEST(Parameterisation, TheRightAnswerImpliesTheVelocityOfThePath) {
  const double x1 = 0.7, x0 = -1.3;
  for (const std::string& path : kPaths) {
    for (const std::string& predict : kPredictions) {
      for (const double t : kTimes) {
        const Parameterisation p = made(path, predict);
        const TrainingRow training = p.training_row(t);
        const SamplingRow sampling = p.sampling_row(t);
        const PathPoint point = p.path().at(t);
        const double x = point.a * x1 + point.s * x0, answer = training.target_x1 * x1 + training.target_x0 * x0;
        const double expected = point.da * x1 + point.ds * x0;
        EXPECT_NEAR(sampling.velocity_x * x + sampling.velocity_f * answer, expected, 1e-11 * (1 + std::abs(expected)))
            << path << " " << predict << " at " << t;
        EXPECT_NEAR(sampling.input * x, training.input_x1 * x1 + training.input_x0 * x0, 1e-12);
        EXPECT_EQ(sampling.time, training.time);
      }
    }
  }
}

TEST(Parameterisation, TheVelocityWeightGivesTheSameLossWhateverIsPredicted) {
  for (const std::string& path : kPaths) {
    for (const std::string& predict : kPredictions) {
      for (const double t : kTimes) {
        const Parameterisation p = made(path, predict, "velocity");
        // An answer that is wrong by d implies a velocity that is wrong by velocity_f d.
        const double by_answer = p.sampling_row(t).velocity_f;
        EXPECT_NEAR(p.training_row(t).weight, by_answer * by_answer, 1e-12 * by_answer * by_answer) << path << predict;
      }
    }
  }
}

TEST(Parameterisation, OtherWeightsAreThoseOfTheirPapers) {
  for (const std::string& path : kPaths) {
    for (const double t : kTimes) {
      const PathPoint p = Path::parse(path).at(t);
      const double sigma = p.s / p.a, diffusion = p.da / p.a * p.s * p.s - p.s * p.ds;
      // SiT: D / s^2 of ||s score + e||^2, which is the error of a predicted noise.
      const double likelihood = diffusion / (p.s * p.s);
      EXPECT_NEAR(made(path, "noise", "likelihood").training_row(t).weight / likelihood, 1, 1e-12) << path;
      EXPECT_NEAR(made(path, "score", "likelihood").training_row(t).weight / (likelihood * p.s * p.s), 1, 1e-12);
      EXPECT_EQ(made(path, "score").training_row(t).weight, p.s * p.s);
      // EDM: (sigma^2 + sd^2) / (sigma sd)^2 of the denoiser's error; 1 of its own network's.
      const double edm = (sigma * sigma + 0.25) / (sigma * sigma * 0.25);
      EXPECT_NEAR(made(path, "x1", "edm").training_row(t).weight / edm, 1, 1e-12) << path;
      EXPECT_NEAR(made(path, "edm", "edm").training_row(t).weight, 1, 1e-12) << path;
      EXPECT_EQ(made(path, "edm", "auto").training_row(t).weight, 1);
    }
  }
}

TEST(Parameterisation, TrainingStaysWhereTargetsAndWeightsAreBounded) {
  const std::vector<std::string> weights = {"auto", "none", "velocity", "likelihood", "sigma2", "edm"};
  for (const std::string& path : kPaths) {
    for (const std::string& predict : kPredictions) {
      for (const std::string& weight : weights) {
        if (predict == "score" && weight == "none" && Path::parse(path).ends_on_data()) continue;
        const Parameterisation p = made(path, predict, weight);
        const TimeInterval times = p.training_times();
        for (const double t : {times.first, times.last}) {
          const TrainingRow row = p.training_row(t);
          EXPECT_TRUE(std::isfinite(row.target_x1 + row.target_x0 + row.weight + row.time + row.input_x0))
              << path << " " << predict << " " << weight << " at " << t;
        }
      }
    }
  }
  EXPECT_EQ(made("linear", "velocity").training_times().last, 1);
  EXPECT_EQ(made("vp", "velocity").training_times().last, 1 - 1e-5);
  EXPECT_EQ(made("linear", "score").training_times().last, 1 - 1e-3);
  EXPECT_EQ(made("linear", "noise").training_times().first, 0);
}

TEST(Parameterisation, SamplingStopsShortOfWhereTheVelocityHasNoBound) {
  const auto expect = [](const std::string& path, const std::string& predict, double first, double last) {
    const TimeInterval times = made(path, predict).sampling_times();
    EXPECT_EQ(times.first, first) << path << " " << predict;
    EXPECT_EQ(times.last, last) << path << " " << predict;
  };
  expect("linear", "velocity", 0, 1);
  expect("cosine", "velocity", 0, 1);
  expect("linear", "noise", 1e-3, 1);
  expect("linear", "x1", 0, 1 - 1e-3);
  expect("linear", "score", 1e-3, 1 - 1e-3);
  expect("linear", "edm", 1e-3, 1 - 1e-3);
  expect("vp", "velocity", 0, 1 - 1e-3);
  expect("vp", "noise", 0, 1 - 1e-3);
  expect("ve:0.02,5", "score", 0, 1);
  expect("polynomial:2", "velocity", 1e-3, 1);
}

TEST(Parameterisation, RefusesWhatMakesNoSense) {
  const auto refuses = [](const std::string& path, const std::string& predict, const std::string& weight) {
    try {
      made(path, predict, weight);
    } catch (const core::Error& error) {
      return error.code() == core::ExitCode::kUsage;
    }
    return false;
  };
  EXPECT_TRUE(refuses("linear", "scroe", "auto"));
  EXPECT_TRUE(refuses("linear", "score", "heavy"));
  EXPECT_TRUE(refuses("linear", "edm:0", "auto"));
  EXPECT_TRUE(refuses("linear", "score", "none"));
  EXPECT_FALSE(refuses("ve:0.1,5", "score", "none"));
  EXPECT_TRUE(refuses("icfm:0.1", "noise", "auto"));
  FlowOptions options;
  options.objective = "score";
  EXPECT_THROW(parameterisation_of(options), core::Error);
}

}  // namespace
}  // namespace pathline::flow

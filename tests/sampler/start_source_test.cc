// SPDX-License-Identifier: Apache-2.0
#include "sampler/start_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "core/error.h"
#include "core/random.h"
#include "data/image_store_writer.h"
#include "data/made.h"
#include "sampler/generate.h"
#include "tests/support/temporary_directory.h"

namespace pathline::sampler {
namespace {

using Use = StartSource::Use;

constexpr std::int64_t kCount = 64;
const std::vector<std::int64_t> kPlane = {2};

std::string made_points(const tests::TemporaryDirectory& directory, const std::string& name, std::uint64_t seed) {
  const std::string path = directory.path() + "/" + name;
  data::MadeOptions options;
  options.count = kCount;
  options.seed = seed;
  const auto points = data::make_source("8gaussians", options);
  data::ImageStoreWriter writer(path, points->info());
  std::vector<std::byte> item(points->info().item_bytes());
  for (std::int64_t i = 0; i < kCount; ++i) {
    points->read(i, item);
    writer.append(item, points->label(i));
  }
  writer.finish();
  return path;
}

std::vector<float> start_at(const StartSource& source, Use use, std::uint64_t seed, std::uint64_t index) {
  std::vector<float> start(2);
  source.fill(use, seed, index, start);
  return start;
}

TEST(StartSource, GaussianIsTheNoiseThatIsDrawnWithoutASource) {
  const StartSource source("gaussian", kPlane);
  std::vector<float> noise(2);
  core::Draws(5, 17, core::Purpose::kNoise).fill_normal(noise);
  EXPECT_EQ(start_at(source, Use::kTraining, 5, 17), noise);
  EXPECT_EQ(open_starts("gaussian", kPlane), nullptr);
}

TEST(StartSource, UniformFillsTheCube) {
  const StartSource source("uniform", kPlane);
  double sum = 0, squares = 0;
  constexpr int kDraws = 4000;
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    for (const float value : start_at(source, Use::kGeneration, 1, i)) {
      EXPECT_GE(value, -1);
      EXPECT_LT(value, 1);
      sum += value;
      squares += static_cast<double>(value) * value;
    }
  }
  EXPECT_NEAR(sum / (2 * kDraws), 0, 4 * std::sqrt(1.0 / 3 / (2 * kDraws)));
  EXPECT_NEAR(squares / (2 * kDraws), 1.0 / 3, 4 * std::sqrt(4.0 / 45 / (2 * kDraws)));
}

TEST(StartSource, DataComeOnceEachInAnOrderOfTheirOwn) {
  const tests::TemporaryDirectory directory;
  const StartSource source("data:" + made_points(directory, "a.h5", 1), kPlane);
  const auto epoch = [&](Use use, std::uint64_t seed, std::uint64_t first) {
    std::vector<std::vector<float>> starts;
    for (std::uint64_t i = 0; i < kCount; ++i) starts.push_back(start_at(source, use, seed, first + i));
    return starts;
  };
  const auto training = epoch(Use::kTraining, 3, 0);
  EXPECT_EQ(training, epoch(Use::kTraining, 3, 0));
  for (auto other : {epoch(Use::kTraining, 3, kCount), epoch(Use::kTraining, 4, 0), epoch(Use::kGeneration, 3, 0),
                     epoch(Use::kValidation, 3, 0)}) {
    EXPECT_NE(other, training);
    auto sorted = training;
    std::ranges::sort(sorted);
    std::ranges::sort(other);
    EXPECT_EQ(other, sorted);
  }
}

TEST(StartSource, NamesTheFileThatIsNotThereOrHasAnotherShape) {
  const tests::TemporaryDirectory directory;
  const std::string path = made_points(directory, "a.h5", 1);
  const std::vector<std::int64_t> picture = {1, 2, 1};
  for (const auto& [source, shape, code] :
       {std::tuple(std::string("data:/nowhere/a.h5"), kPlane, core::ExitCode::kInput),
        std::tuple("data:" + path, picture, core::ExitCode::kUsage)}) {
    try {
      StartSource(source, shape);
      FAIL() << source;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_NE(std::string(error.what()).find("a.h5"), std::string::npos) << error.what();
    }
  }
}

TEST(StartSource, HasAnIdentityByContent) {
  const tests::TemporaryDirectory directory;
  const StartSource one("data:" + made_points(directory, "a.h5", 1), kPlane);
  const StartSource same("data:" + made_points(directory, "b.h5", 1), kPlane);
  const StartSource other("data:" + made_points(directory, "c.h5", 2), kPlane);
  EXPECT_EQ(one.identity(), same.identity());
  EXPECT_NE(one.identity(), other.identity());
}

TEST(Generate, StartsWhereTheSourceSays) {
  const tests::TemporaryDirectory directory;
  Job job;
  job.sample_shape = kPlane;
  job.slots = 16;
  job.seed = 7;
  job.source = open_starts("data:" + made_points(directory, "a.h5", 1), kPlane);
  job.solver.solver = "euler";
  job.solver.steps = 1;
  const Field still = [](const at::Tensor& x, const at::Tensor&, const at::Tensor&) { return x.sub(x); };
  generate(
      still, job, 0, 40, [](std::int64_t) { return -1; },
      [&](Sample&& sample) {
        const auto start = start_at(*job.source, Use::kGeneration, 7, static_cast<std::uint64_t>(sample.id));
        EXPECT_EQ(sample.value[0].item<float>(), start[0]);
        EXPECT_EQ(sample.value[1].item<float>(), start[1]);
      });
}

TEST(CheckSolver, RefusesWhatNeedsAScoreThatIsNotThere) {
  flow::CouplingOptions plain, uniform, optimal;
  uniform.source = "uniform";
  optimal.coupling = "ot";
  SolverOptions solver;
  const auto needs_the_score = [&] {
    EXPECT_NO_THROW(check_solver(plain, solver)) << solver.solver;
    EXPECT_THROW(check_solver(uniform, solver), core::Error) << solver.solver;
    EXPECT_THROW(check_solver(optimal, solver), core::Error) << solver.solver;
  };
  for (const char* name : {"em", "sheun", "pc", "ddpm"}) {
    solver.solver = name;
    needs_the_score();
  }
  for (const char* name : {"dopri5", "dpmpp2m", "ddim"}) {
    solver.solver = name;
    EXPECT_NO_THROW(check_solver(uniform, solver));
    EXPECT_NO_THROW(check_solver(optimal, solver));
  }
  solver.noise_schedule = "ddpm-linear";
  EXPECT_NO_THROW(check_solver(optimal, solver));
  solver.eta = 1;  // draws noise as ddpm does
  needs_the_score();
  EXPECT_NO_THROW(check_density(optimal, "a likelihood"));
  EXPECT_THROW(check_density(uniform, "a likelihood"), core::Error);
}

}  // namespace
}  // namespace pathline::sampler

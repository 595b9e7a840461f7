// SPDX-License-Identifier: Apache-2.0
// Data to noise and back: against the closed form, and against itself.
#include "sampler/start_rows.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/max.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include <cmath>
#include <span>

#include "core/error.h"
#include "data/image_store_writer.h"
#include "sampler/generate.h"
#include "sampler/path_field.h"
#include "tests/sampler/fields.h"
#include "tests/support/temporary_directory.h"

namespace pathline::sampler {
namespace {

constexpr std::int64_t kRows = 20, kDimensions = 3;

/// A set of points whose row i holds i, i + 1/4, i + 1/2, with starts of the opposite sign.
std::string points_with_starts(const std::string& path, bool with_starts = true) {
  data::SetInfo info;
  info.kind = data::ItemKind::kPoint;
  info.count = kRows;
  info.channels = kDimensions;
  info.classes = 5;
  const auto row = [](std::int64_t i) {
    const auto x = static_cast<float>(i);
    return std::vector<float>{x, x + 0.25f, x + 0.5f};
  };
  data::ImageStoreWriter writer(path, info);
  for (std::int64_t i = 0; i < kRows; ++i) {
    const std::vector<float> item = row(i);
    writer.append(std::as_bytes(std::span(item)), i % 5);
  }
  if (with_starts) {
    writer.add_floats("x0", {kDimensions}, [&](std::int64_t i) {
      std::vector<float> start = row(i);
      for (float& value : start) value = -value;
      return start;
    });
  }
  writer.finish();
  return path;
}

/// Samples from given starts, in order.
at::Tensor solved(const Field& field, const SolverOptions& solver, const at::Tensor& starts) {
  Job job;
  job.sample_shape = starts.sizes().slice(1).vec();
  job.slots = 16;
  job.solver = solver;
  job.start = [&](std::int64_t id) { return starts[id]; };
  std::vector<at::Tensor> ends(static_cast<std::size_t>(starts.size(0)));
  generate(
      field, job, 0, starts.size(0), [](std::int64_t) { return -1; },
      [&](Sample&& sample) { ends.at(static_cast<std::size_t>(sample.id)) = sample.value; });
  return at::stack(ends);
}

double largest(const at::Tensor& difference) { return difference.abs().max().item<double>(); }

at::Tensor noise(std::int64_t rows) {
  std::vector<at::Tensor> all;
  for (std::int64_t i = 0; i < rows; ++i) all.push_back(start_noise(7, i, {kDimensions}));
  return at::stack(all);
}

SolverOptions dopri5(double tolerance) {
  SolverOptions solver;
  solver.rtol = solver.atol = tolerance;
  return solver;
}

TEST(StartRows, AreTheItemsOrTheStartsOfASet) {
  const tests::TemporaryDirectory directory;
  const std::string path = points_with_starts(directory.path() + "/set.h5");
  const std::vector<std::int64_t> shape = {kDimensions};
  const StartRows items("--encode", path, StartRows::Kind::kItems, shape);
  const StartRows starts("--start", path, StartRows::Kind::kStarts, shape);
  EXPECT_EQ(items.value(7)[1].item<float>(), 7.25f);
  EXPECT_EQ(starts.value(7)[1].item<float>(), -7.25f);
  EXPECT_EQ(items.labels()[8], 3);
  EXPECT_EQ(count_rows(path), kRows);
  EXPECT_NE(items.identity(), starts.identity());
  EXPECT_THROW(items.value(kRows), core::Error);
  EXPECT_THROW(StartRows("--encode", path, StartRows::Kind::kItems, std::vector<std::int64_t>{2}), core::Error);
  const std::string bare = points_with_starts(directory.path() + "/bare.h5", false);
  EXPECT_THROW(StartRows("--start", bare, StartRows::Kind::kStarts, shape), core::Error);
}

TEST(Encoding, OfAGaussianIsItsClosedForm) {
  const tests::GaussianField field;
  const at::Tensor x0 = noise(40), x1 = field.mean + field.deviation * x0;
  SolverOptions solver = dopri5(1e-8);
  follow_path(solver, flow::Parameterisation(flow::Path::parse("linear"), "velocity", "auto"), "");
  EXPECT_EQ(encode_backwards(solver), 1);
  // fp32 data: a rounding of x1 is 1 / deviation times as much of x0
  EXPECT_LT(largest(solved(field, solver, x1) - x0), 2e-6);
}

TEST(Encoding, AndDecodingGivesTheDataBackWithinTheTolerance) {
  const tests::Logistic field{1.5};
  const at::Tensor data = noise(40).sigmoid();
  double before = 1;
  for (const double tolerance : {1e-2, 1e-4, 1e-6}) {
    SolverOptions there = dopri5(tolerance);
    const SolverOptions back = there;
    encode_backwards(there);
    const at::Tensor encoded = solved(field, there, data);
    EXPECT_GT(largest(encoded - data), 0.1);
    const double error = largest(solved(field, back, encoded) - data);
    EXPECT_LT(error, 10 * tolerance);
    EXPECT_LT(error, before / 5);
    before = error;
  }
}

/// Where the noise is not of deviation 1 and the path does not reach the data, both ends are scaled.
TEST(Encoding, MeetsTheEndsOfOtherPaths) {
  const double deviation = 0.3;
  const flow::Parameterisation trained(flow::Path::parse("ve:0.01,20"), "noise", "auto");
  const Field velocity = [&](const at::Tensor& x, const at::Tensor& t, const at::Tensor&) {
    // x = x1 + s x0, x1 of N(0, deviation^2): v = s' E[x0 | x] = s' s x / (deviation^2 + s^2)
    std::vector<at::Tensor> rows;
    for (std::int64_t i = 0; i < t.size(0); ++i) {
      const flow::PathPoint p = trained.path().at(t[i].item<double>());
      rows.push_back(x[i] * (p.ds * p.s / (deviation * deviation + p.s * p.s)));
    }
    return at::stack(rows);
  };
  SolverOptions solver = dopri5(1e-8);
  follow_path(solver, trained, "");
  const double first = trained.path().at(solver.t0).s, last = trained.path().at(solver.t1).s;
  const double scale = encode_backwards(solver);
  const at::Tensor data = deviation * noise(30);
  const double factor = std::hypot(deviation, first) / std::hypot(deviation, last) / first;
  EXPECT_LT(largest(solved(velocity, solver, data) * scale - factor * data), 1e-5);
}

TEST(Encoding, RefusesSolversThatOnlyLeadToData) {
  for (const char* name : {"em", "pc", "ddim", "dpmpp2m"}) {
    SolverOptions solver;
    solver.solver = name;
    EXPECT_THROW(encode_backwards(solver), core::Error) << name;
  }
}

}  // namespace
}  // namespace pathline::sampler

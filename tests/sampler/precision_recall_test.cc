// SPDX-License-Identifier: Apache-2.0
// Against sets whose shares are plain, and against the definition written as loops.
#include "sampler/precision_recall.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/random.h"

namespace pathline::sampler {
namespace {

/// (n, D) standard normal, fp32.
at::Tensor normal_rows(std::int64_t n, std::int64_t dimensions, std::uint64_t index) {
  const at::Tensor rows = at::empty({n, dimensions}, at::kFloat);
  core::Draws(1, index, core::Purpose::kMadeData)
      .fill_normal({rows.mutable_data_ptr<float>(), static_cast<std::size_t>(rows.numel())});
  return rows;
}

double squared_distance(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).square().sum().item<double>();
}

/// The definition.
double share_inside(const at::Tensor& rows, const at::Tensor& centres, std::int64_t k) {
  std::vector<double> radii;
  for (std::int64_t i = 0; i < centres.size(0); ++i) {
    std::vector<double> others;
    for (std::int64_t j = 0; j < centres.size(0); ++j) {
      if (j != i) others.push_back(squared_distance(centres[i], centres[j]));
    }
    std::ranges::sort(others);
    radii.push_back(others[static_cast<std::size_t>(k - 1)]);
  }
  std::int64_t inside = 0;
  for (std::int64_t i = 0; i < rows.size(0); ++i) {
    bool found = false;
    for (std::int64_t j = 0; j < centres.size(0); ++j) {
      found |= squared_distance(rows[i], centres[j]) <= radii[static_cast<std::size_t>(j)];
    }
    inside += found;
  }
  return static_cast<double>(inside) / static_cast<double>(rows.size(0));
}

void expect_shares(const PrecisionRecall& found, double precision, double recall) {
  EXPECT_EQ(found.precision, precision);
  EXPECT_EQ(found.recall, recall);
}

TEST(PrecisionRecall, OfASetAgainstItselfAreWhole) {
  const at::Tensor rows = normal_rows(60, 7, 1) + 1e3;
  expect_shares(precision_recall(rows, rows), 1, 1);
  expect_shares(precision_recall(at::zeros({5, 3}), at::zeros({9, 3})), 1, 1);  // balls without extent
}

TEST(PrecisionRecall, OfSetsFarApartAreNothing) {
  const at::Tensor rows = normal_rows(60, 7, 1);
  expect_shares(precision_recall(rows, normal_rows(40, 7, 2) + 100), 0, 0);
}

TEST(PrecisionRecall, OfAPartOfTheReferenceIsWholePrecisionAndThePartsRecall) {
  // The first quarter of points 0, 1, 2 ... on a line: the nearest mates of the last one, 24, are 23, 22 and 21, so
  // that its ball reaches to 27.
  const at::Tensor line = at::arange(100, at::kFloat).unsqueeze(1);
  expect_shares(precision_recall(line.slice(0, 0, 25), line), 1, 0.28);
}

TEST(PrecisionRecall, AreTheDefinitionsWhereSetsOverlap) {
  for (std::int64_t k : {1, 3, 5}) {
    const at::Tensor set = normal_rows(70, 3, 3) * 0.7 + 0.4, reference = normal_rows(90, 3, 4);
    const PrecisionRecall found = precision_recall(set, reference, k);
    expect_shares(found, share_inside(set, reference, k), share_inside(reference, set, k));
    EXPECT_GT(found.precision, found.recall) << "a narrow set in a wide one";
    EXPECT_LT(found.recall, 1);
  }
}

TEST(PrecisionRecall, AreTheSameAcrossTheBordersOfTiles) {
  // Points 0, 1, 2 ... on a line, and every third of them; then points of which one half of the reference is far.
  const at::Tensor line = at::arange(5000, at::kFloat).unsqueeze(1);
  const at::Tensor third = line.slice(0, 0, 5000, 3);
  expect_shares(precision_recall(third, line), 1, 1);
  expect_shares(precision_recall(line + 10000, at::cat({line, line + 10001}, 0)), 1, 0.5);
}

TEST(PrecisionRecall, NeedMoreRowsThanABallReachesOver) {
  EXPECT_THROW(precision_recall(normal_rows(3, 2, 1), normal_rows(10, 2, 2)), core::Error);
  EXPECT_THROW(precision_recall(normal_rows(10, 2, 1), normal_rows(10, 3, 2)), core::Error);
}

}  // namespace
}  // namespace pathline::sampler

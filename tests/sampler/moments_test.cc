// SPDX-License-Identifier: Apache-2.0
// Against closed forms on Gaussians and on a few points.
#include "sampler/moments.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/random.h"
#include "data/npz.h"
#include "sampler/features.h"
#include "tests/support/temporary_directory.h"

namespace pathline::sampler {
namespace {

/// (n, D) standard normal.
at::Tensor normal_rows(std::int64_t n, std::int64_t dimensions, std::uint64_t index) {
  const at::Tensor rows = at::empty({n, dimensions}, at::kFloat);
  core::Draws(1, index, core::Purpose::kMadeData)
      .fill_normal({rows.mutable_data_ptr<float>(), static_cast<std::size_t>(rows.numel())});
  return rows.to(at::kDouble);
}

data::NpyArray doubles(const std::vector<std::int64_t>& shape, const std::vector<double>& values) {
  data::NpyArray array{"f8", shape, std::vector<std::byte>(values.size() * 8)};
  std::memcpy(array.bytes.data(), values.data(), array.bytes.size());
  return array;
}

/// A Gaussian of the plane, as a file of others holds it: without a count.
Moments gaussian(const std::string& path, const std::vector<double>& mean, const std::vector<double>& covariance) {
  core::PosixFileSystem files;
  data::NpzWriter writer(files, path);
  writer.add("mu", doubles({2}, mean));
  writer.add("sigma", doubles({2, 2}, covariance));
  writer.finish();
  return Moments::load(files, path);
}

TEST(Moments, OfBatchesAreThoseOfTheWhole) {
  const at::Tensor rows = normal_rows(101, 5, 1) * 3 + 1e6;  // a naive sum of squares would lose all digits here
  Moments in_batches;
  for (std::int64_t first = 0; first < 101; first += 10) {
    in_batches.add(rows.slice(0, first, std::min<std::int64_t>(first + 10, 101)));
  }
  const at::Tensor mean = rows.mean(0), centred = rows - mean;
  EXPECT_EQ(in_batches.count(), 101);
  EXPECT_TRUE(at::allclose(in_batches.mean(), mean, 1e-14, 0));
  EXPECT_TRUE(at::allclose(in_batches.covariance(), centred.t().mm(centred) / 100.0, 1e-9, 1e-9));
}

TEST(MomentsInOrder, HaveTheSameBitsInWhateverPiecesTheRowsCome) {
  const at::Tensor rows = normal_rows(150, 5, 1) * 3 + 1;
  const auto in_pieces_of = [&](std::int64_t size) {
    MomentsInOrder moments;
    for (std::int64_t first = 0; first < 150; first += size) {
      moments.add(rows.slice(0, first, std::min<std::int64_t>(first + size, 150)));
    }
    return moments.total();
  };
  Moments whole;
  whole.add(rows);
  const Moments one_by_one = in_pieces_of(1);
  EXPECT_TRUE(at::allclose(one_by_one.mean(), whole.mean(), 1e-13, 0));
  EXPECT_TRUE(at::allclose(one_by_one.covariance(), whole.covariance(), 1e-12, 1e-12));
  for (const std::int64_t size : {7, 64, 65, 150}) {
    const Moments moments = in_pieces_of(size);
    EXPECT_EQ(moments.count(), 150);
    EXPECT_TRUE(moments.mean().equal(one_by_one.mean())) << size;
    EXPECT_TRUE(moments.covariance().equal(one_by_one.covariance())) << size;
  }
}

TEST(Features, TravelBehindTheItemOfARecord) {
  Record record;
  for (int value = 0; value < 12; ++value) record.item.push_back(static_cast<std::byte>(value));
  const std::vector<std::byte> pixels = record.item;
  const at::Tensor features = normal_rows(1, 5, 3).to(at::kFloat);
  append_features(record, features);
  EXPECT_EQ(record.item.size(), 12 + 5 * sizeof(float));
  EXPECT_TRUE(take_features(record, 5).equal(features));
  EXPECT_EQ(record.item, pixels);
  const at::Tensor item = item_of(record, {3, 2, 2});  // (H, W, C) in the record
  EXPECT_EQ(item.sizes(), at::IntArrayRef({1, 3, 2, 2}));
  EXPECT_EQ(item[0][2][1][0].item<std::int64_t>(), 8);
  EXPECT_FLOAT_EQ(Features("").of(item)[0][1].item<float>(), 3 / 127.5f - 1);
}

TEST(Moments, ComeBackFromAFile) {
  const tests::TemporaryDirectory directory;
  core::PosixFileSystem files;
  Moments moments;
  moments.add(normal_rows(20, 3, 2));
  moments.save(files, directory / "m.npz");
  EXPECT_TRUE(Moments::holds(files, directory / "m.npz"));
  const Moments read = Moments::load(files, directory / "m.npz");
  EXPECT_EQ(read.count(), 20);
  EXPECT_TRUE(read.mean().equal(moments.mean()));
  EXPECT_TRUE(read.covariance().equal(moments.covariance()));
}

TEST(FrechetDistance, IsTheClosedFormOfTwoByTwo) {
  const tests::TemporaryDirectory directory;
  // matrices that do not commute; of two by two, tr (AB)^1/2 = (tr AB + 2 (det AB)^1/2)^1/2
  const Moments a = gaussian(directory / "a.npz", {1, -2}, {2, 0.5, 0.5, 1});
  const Moments b = gaussian(directory / "b.npz", {0.5, 1}, {1, -0.7, -0.7, 3});
  const double trace = 2 * 1 + 2 * 0.5 * -0.7 + 1 * 3, determinant = (2 - 0.25) * (3 - 0.49);
  const double expected = 0.25 + 9 + 3 + 4 - 2 * std::sqrt(trace + 2 * std::sqrt(determinant));
  EXPECT_NEAR(frechet_distance(a, b), expected, 1e-12);
  EXPECT_NEAR(frechet_distance(b, a), expected, 1e-12);
  EXPECT_NEAR(frechet_distance(a, a), 0, 1e-12);
}

TEST(FrechetDistance, OfASingularCovarianceIsFinite) {
  const tests::TemporaryDirectory directory;
  const Moments line = gaussian(directory / "a.npz", {0, 0}, {1, 1, 1, 1});
  const Moments round = gaussian(directory / "b.npz", {0, 0}, {1, 0, 0, 1});
  // the root of an eigenvalue that is zero but for rounding has half the digits
  EXPECT_NEAR(frechet_distance(line, round), 4 - 2 * std::sqrt(2.0), 1e-7);
}

TEST(FrechetDistance, OfSamplesTendsToThatOfTheirLaws) {
  Moments a, b;
  a.add(normal_rows(20000, 2, 3));
  b.add(normal_rows(20000, 2, 4) * 2 + 1);
  // |1,1|^2 + 2 (2 - 1)^2; the standard errors of means and deviations are below 0.02
  EXPECT_NEAR(frechet_distance(a, b), 4, 0.15);
}

TEST(FrechetDistance, RefusesFeaturesOfOtherNetworks) {
  Moments a, b;
  a.add(normal_rows(5, 2, 5));
  b.add(normal_rows(5, 3, 6));
  EXPECT_THROW(frechet_distance(a, b), core::Error);
  EXPECT_THROW(a.merge(b), core::Error);
}

}  // namespace
}  // namespace pathline::sampler

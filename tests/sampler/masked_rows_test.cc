// SPDX-License-Identifier: Apache-2.0
// Filling in what is not known: against conditional Gaussians in closed form, known values bit for bit.
#include "sampler/masked_rows.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/max.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include <cmath>
#include <span>

#include "core/error.h"
#include "data/image_store_writer.h"
#include "data/made.h"
#include "sampler/generate.h"
#include "sampler/to_record.h"
#include "tests/sampler/fields.h"
#include "tests/support/temporary_directory.h"

namespace pathline::sampler {
namespace {

constexpr std::int64_t kRows = 50;
const std::vector<std::int64_t> kPlane = {2};

/// Correlated Gaussian points; of even rows x is known, of odd ones y.
std::string gaussian_points(const std::string& path, bool with_masks = true) {
  data::SetInfo info;
  info.kind = data::ItemKind::kPoint;
  info.count = kRows;
  info.channels = 2;
  data::ImageStoreWriter writer(path, info);
  for (std::int64_t i = 0; i < kRows; ++i) {
    const data::LabelledPoint point = data::gaussian_point(4, static_cast<std::uint64_t>(i));
    const std::array row = {point.x, point.y};
    writer.append(std::as_bytes(std::span(row)), -1);
  }
  if (with_masks) {
    writer.add_bytes("masks", {2}, [](std::int64_t i) {
      return std::vector{std::byte{i % 2 == 0}, std::byte{i % 2 == 0 ? std::uint8_t{0} : std::uint8_t{255}}};
    });
  }
  writer.finish();
  return path;
}

/// y given x is N(0.8 x, 0.6^2): the velocity of that alone, where it is not known.
Field conditional_field(std::shared_ptr<const MaskedRows> rows) {
  return [rows](const at::Tensor& x, const at::Tensor& t, const at::Tensor& numbers) {
    const at::Tensor known = rows->known(numbers), mask = known.narrow(1, 2, 2);
    const at::Tensor mean = data::kGaussianCorrelation * known.narrow(1, 0, 2).sum(1, /*keepdim=*/true);
    const double variance = 1 - data::kGaussianCorrelation * data::kGaussianCorrelation;
    const at::Tensor time = tests::per_row(t, x), spread = (1 - time) * (1 - time) + time * time * variance;
    const at::Tensor v = mean + (time * variance - (1 - time)) / spread * (x - time * mean);
    return v * (1 - mask);
  };
}

TEST(MaskedRows, FillInConditionalGaussians) {
  const tests::TemporaryDirectory directory;
  const auto rows = std::make_shared<const MaskedRows>(gaussian_points(directory / "set.h5"), "half", kPlane);
  Job job;
  job.sample_shape = kPlane;
  job.slots = 16;
  job.null_label = rows->count() - 1;
  job.solver.rtol = job.solver.atol = 1e-8;
  job.start = [&](std::int64_t id) { return rows->start(rows->row_of(id), start_noise(9, id, kPlane)); };
  const std::int64_t count = 2 * kRows;
  std::int64_t seen = 0;
  generate(
      conditional_field(rows), job, 0, count, [&](std::int64_t id) { return rows->row_of(id); },
      [&](Sample&& sample) {
        const std::int64_t row = rows->row_of(sample.id), known = row % 2;
        const auto point = data::gaussian_point(4, static_cast<std::uint64_t>(row));
        const float given = known == 0 ? point.x : point.y;
        EXPECT_EQ(sample.value[known].item<float>(), given);
        // the flow maps the noise e to mean + deviation e
        const double noise = start_noise(9, sample.id, kPlane)[1 - known].item<double>();
        EXPECT_NEAR(sample.value[1 - known].item<double>(), data::kGaussianCorrelation * given + 0.6 * noise, 1e-6);
        seen += 1;
      });
  EXPECT_EQ(seen, count);
}

TEST(MaskedRows, DrawTheirMasksWhereTheSetHasNone) {
  const tests::TemporaryDirectory directory;
  const std::string bare = gaussian_points(directory / "bare.h5", false);
  const MaskedRows rows(bare, "half", kPlane), same(bare, "half", kPlane), other(bare, "pixels:0.5", kPlane);
  const at::Tensor all = at::arange(kRows);
  EXPECT_TRUE(at::equal(rows.known(all), same.known(all)));
  EXPECT_EQ(rows.identity(), same.identity());
  EXPECT_NE(rows.identity(), other.identity());
  const at::Tensor mask = rows.known(all).narrow(1, 2, 2);
  EXPECT_EQ(mask.sum().item<float>(), kRows);
  EXPECT_GT(mask.select(1, 0).sum().item<float>(), 10);
  EXPECT_LT(mask.select(1, 0).sum().item<float>(), 40);
}

/// Every one of the 256 levels: start, stay, and round back.
TEST(MaskedRows, KeepKnownPixelsByteForByte) {
  const tests::TemporaryDirectory directory;
  data::SetInfo info;
  info.count = 2;
  info.height = info.width = 16;
  info.channels = 2;
  data::ImageStoreWriter writer(directory / "set.h5", info);
  std::vector<std::byte> item(info.item_bytes());
  for (std::size_t i = 0; i < item.size(); ++i) item[i] = static_cast<std::byte>(i / 2 + i % 2 * 7);
  for (int i = 0; i < 2; ++i) writer.append(item, -1);
  writer.add_bytes("masks", {16, 16}, [](std::int64_t row) {
    return std::vector<std::byte>(256, row == 0 ? std::byte{1} : std::byte{0});
  });
  writer.finish();
  const std::vector<std::int64_t> shape = {2, 16, 16};
  const MaskedRows rows(directory / "set.h5", "box", shape);
  EXPECT_EQ(rows.known(at::arange(2)).sizes(), at::IntArrayRef({2, 3, 16, 16}));
  const auto bytes = to_8_bit(rows.start(0, start_noise(1, 0, shape)));
  EXPECT_TRUE(std::ranges::equal(std::as_bytes(std::span(bytes)), item));
  EXPECT_TRUE(at::equal(rows.start(1, start_noise(1, 0, shape)), start_noise(1, 0, shape)));
  EXPECT_EQ(rows.mask(0), std::vector<std::byte>(256, std::byte{1}));
  EXPECT_THROW(MaskedRows(directory / "set.h5", "box", kPlane), core::Error);
}

}  // namespace
}  // namespace pathline::sampler

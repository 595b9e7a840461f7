// SPDX-License-Identifier: Apache-2.0
// Random numbers drawn on the GPU are the host's.
#include <ATen/ops/empty.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include "flow/keyed_draws.h"
#include "flow/pixels.h"
#include "model/dropout.h"
#include "tests/gpu/support.h"

namespace pathline {
namespace {

const std::vector<std::uint64_t> kPositions = {0, 1, 7, 0xffffffffu, 0x100000000u, 0xfedcba9876543210u};

TEST(GpuDraws, NoiseHasTheHostsBits) {
  for (const std::int64_t row : {1, 2, 3, 4, 5, 1023, 1024, 3 * 32 * 32, 100001}) {
    const at::Tensor host = flow::keyed_noise(0xabcdef0123456789u, core::Purpose::kNoise, kPositions, {row});
    const at::Tensor gpu = flow::keyed_noise(0xabcdef0123456789u, core::Purpose::kNoise, kPositions, {row}, at::kCUDA);
    ASSERT_TRUE(gpu.is_cuda());
    EXPECT_TRUE(tests::same_bits(tests::on_host(host), tests::on_host(gpu))) << row;
  }
}

TEST(GpuDraws, ManyPositionsAndManyNumbersHaveTheHostsBits) {
  std::vector<std::uint64_t> positions(40000);  // more rows than blocks along that axis
  for (std::size_t n = 0; n < positions.size(); ++n) positions[n] = 1000003 * n;
  const at::Tensor host = flow::keyed_noise(1, core::Purpose::kNoise, positions, {6});
  const at::Tensor gpu = flow::keyed_noise(1, core::Purpose::kNoise, positions, {6}, at::kCUDA);
  EXPECT_TRUE(tests::same_bits(tests::on_host(host), tests::on_host(gpu)));
}

TEST(GpuDraws, DropoutMasksAreTheHosts) {
  const at::Tensor x = at::ones({6, 3, 17});
  model::Condition condition;
  condition.seed = 9;
  condition.positions = kPositions;
  for (const double rate : {0.1, 0.5}) {
    const at::Tensor host = model::keyed_dropout(x, rate, condition, 2);
    const at::Tensor gpu = model::keyed_dropout(x.to(at::kCUDA), rate, condition, 2);
    EXPECT_TRUE(tests::same_bits(tests::on_host(host), tests::on_host(gpu))) << rate;
  }
}

TEST(GpuDraws, LabelsArriveOnTheGpu) {
  const std::vector<std::int64_t> labels = {0, 1, 2, 3, 4, 5};
  EXPECT_TRUE(flow::dropped_labels(3, kPositions, labels, 0.5, 10, at::kCUDA)
                  .to(at::kCPU)
                  .equal(flow::dropped_labels(3, kPositions, labels, 0.5, 10)));
}

TEST(GpuDraws, PixelsBecomeTheHostsNumbers) {
  const at::Tensor pixels = at::arange(4 * 8 * 8 * 3).bitwise_and(255).to(at::kByte).view({4, 8, 8, 3});
  const at::Tensor mirrored = at::arange(4).bitwise_and(1).to(at::kByte);
  const at::Tensor gpu = flow::values_of_pixels(pixels.to(at::kCUDA), mirrored.to(at::kCUDA));
  EXPECT_TRUE(tests::same_bits(tests::on_host(flow::values_of_pixels(pixels, mirrored)), tests::on_host(gpu)));
}

}  // namespace
}  // namespace pathline

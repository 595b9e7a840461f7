// SPDX-License-Identifier: Apache-2.0
#include "trainer/peak_rate.h"

#include <gtest/gtest.h>

#include "cluster/self_communicator.h"

namespace pathline::trainer {
namespace {

TEST(PeakRate, KnowsDevicesByTheNamesThatDriversGive) {
  EXPECT_EQ(published_peak("NVIDIA A100-SXM4-80GB", "bf16"), 312e12);
  EXPECT_EQ(published_peak("NVIDIA H100 80GB HBM3", "bf16"), 989e12);
  EXPECT_EQ(published_peak("NVIDIA H100 PCIe", "bf16"), 756e12);
  EXPECT_EQ(published_peak("NVIDIA H200", "bf16"), 989e12);
  EXPECT_EQ(published_peak("NVIDIA B200", "bf16"), 2250e12);
  EXPECT_EQ(published_peak("NVIDIA A100-PCIE-40GB", "tf32"), 156e12);
  EXPECT_EQ(published_peak("NVIDIA H100 80GB HBM3", "fp32"), 67e12);
  EXPECT_FALSE(published_peak("NVIDIA GeForce RTX 4090", "bf16").has_value());
  EXPECT_FALSE(published_peak("", "fp32").has_value());
}

/// Any processor that runs this multiplies faster than 10 MFLOP/s and slower than 1 PFLOP/s.
TEST(PeakRate, IsMeasuredOnProcessors) {
  const auto ranks = cluster::make_self_communicator();
  const double peak = peak_of_ranks(TrainOptions{}, at::kCPU, *ranks, 0.01);
  EXPECT_GT(peak, 1e7);
  EXPECT_LT(peak, 1e15);
}

}  // namespace
}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
// The arithmetic of reductions has the same bits on the GPU as on the host.
#include "cluster/cuda_array_math.h"

#include <ATen/ops/empty_like.h>
#include <gtest/gtest.h>

#include "cluster/block_layout.h"
#include "tests/gpu/support.h"

namespace pathline::cluster {
namespace {

using tests::device_span;

constexpr std::size_t kBlocks = 37;

struct Pair {
  std::vector<float> left = tests::normals(kBlocks * kBlock, 1), right = tests::normals(kBlocks * kBlock, 2);
  at::Tensor gpu_left = tests::on_gpu(left), gpu_right = tests::on_gpu(right), gpu_sum = at::empty_like(gpu_left);
};

/// On the default stream, which everything of LibTorch here runs on.
std::unique_ptr<ArrayMath> math() { return make_cuda_array_math(0, nullptr, cuda_malloc_allocator(0)); }

TEST(CudaArrayMath, AddsWithTheHostsBitsWhereverArraysBegin) {
  Pair p;
  const auto gpu = math();
  for (const std::size_t begin : {0, 1, 4, 6}) {
    const std::size_t count = p.left.size() - 2 * begin;
    std::vector<float> sum(count);
    host_array_math().add(std::span(p.left).subspan(begin, count), std::span(p.right).subspan(begin, count), sum);
    const auto to = device_span(p.gpu_sum, begin, count);
    gpu->add(device_span(p.gpu_left, begin, count), device_span(p.gpu_right, begin, count), to);
    gpu->finish();
    EXPECT_TRUE(tests::same_bits(sum, tests::on_host(p.gpu_sum.narrow(0, begin, count)))) << begin;
  }
}

TEST(CudaArrayMath, SquaresHaveTheHostsBitsAndComeWithFinish) {
  Pair p;
  const auto gpu = math();
  std::vector<double> expected(kBlocks), found(kBlocks, -1.0), expected_sum(kBlocks), found_sum(kBlocks, -1.0);
  std::vector<float> sum(p.left.size());
  host_array_math().sum_squares(p.left, expected);
  host_array_math().add_and_sum_squares(p.left, p.right, sum, expected_sum);
  gpu->sum_squares(device_span(p.gpu_left), found);
  const auto in_place = device_span(p.gpu_left);
  gpu->add_and_sum_squares(in_place, device_span(p.gpu_right), in_place, found_sum);
  gpu->finish();
  EXPECT_TRUE(tests::same_bits(std::span<const double>(expected), std::span<const double>(found)));
  EXPECT_TRUE(tests::same_bits(std::span<const double>(expected_sum), std::span<const double>(found_sum)));
  EXPECT_TRUE(tests::same_bits(sum, tests::on_host(p.gpu_left)));
}

TEST(CudaArrayMath, ManyResultsBetweenTwoFinishesAllArrive) {
  Pair p;
  const auto gpu = math();
  std::vector<double> expected(kBlocks);
  host_array_math().sum_squares(p.left, expected);
  for (int round = 0; round < 2; ++round) {
    // More than the first staging memory holds.
    std::vector<std::vector<double>> found(400, std::vector<double>(kBlocks, -1.0));
    for (auto& squares : found) gpu->sum_squares(device_span(p.gpu_left), squares);
    gpu->finish();
    for (const auto& squares : found) EXPECT_EQ(squares, expected);
  }
}

TEST(CudaArrayMath, CopiesAndAllocates) {
  Pair p;
  const auto gpu = math();
  const ArrayMath::Memory memory = gpu->allocate(1 << 20);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.get()) % 64, 0u);
  gpu->copy(device_span(p.gpu_left), device_span(p.gpu_sum));
  gpu->finish();
  EXPECT_TRUE(tests::same_bits(p.left, tests::on_host(p.gpu_sum)));
}

}  // namespace
}  // namespace pathline::cluster

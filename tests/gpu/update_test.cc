// SPDX-License-Identifier: Apache-2.0
// The optimizer's pass and the collection of gradients have the same bits on the GPU as on the host.
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/gpu/support.h"
#include "trainer/gradient_kernels.h"
#include "trainer/gradient_kernels_cuda.h"
#include "trainer/update_kernel.h"
#include "trainer/update_kernel_cuda.h"

namespace pathline::trainer {
namespace {

constexpr std::size_t kElements = 100003;  // no multiple of anything
constexpr std::size_t kArrays = 6;         // gradient, master, two moments, two averages

/// The same arrays in two places, whose run of elements begins at `begin`.
struct Arrays {
  Arrays() {
    for (std::size_t a = 0; a < kArrays; ++a) host.push_back(tests::normals(kElements, a));
    for (auto& value : host[3]) value *= value;
    host[0][5] = std::numeric_limits<float>::denorm_min();
    host[0][6] = 0.0f;
    host[1][7] = 3e38f;
    for (const auto& array : host) gpu.push_back(tests::on_gpu(array));
    host_bf16.resize(kElements);
    const auto shorts = at::TensorOptions().dtype(at::kShort).device(at::kCUDA);
    gpu_bf16 = at::zeros({static_cast<std::int64_t>(kElements)}, shorts);
  }

  ShardArrays on(bool device, std::size_t begin, std::size_t moments) {
    const auto pointer = [&](std::size_t a) { return device ? gpu[a].mutable_data_ptr<float>() : host[a].data(); };
    ShardArrays shard{kElements, pointer(0), pointer(1), {pointer(2), pointer(3)}, host_bf16.data(), {}};
    if (device) shard.bf16_parameter = reinterpret_cast<std::uint16_t*>(gpu_bf16.mutable_data_ptr<std::int16_t>());
    shard.moments.resize(moments);
    shard.averages = {{pointer(4), 0.001f}, {pointer(5), 0.25f}};
    return shard.part(begin, kElements - begin);
  }

  void expect_equal() {
    for (std::size_t a = 0; a < kArrays; ++a) EXPECT_TRUE(tests::same_bits(host[a], tests::on_host(gpu[a]))) << a;
    const at::Tensor bf16 = gpu_bf16.to(at::kCPU);
    const auto* found = reinterpret_cast<const std::uint16_t*>(bf16.const_data_ptr<std::int16_t>());
    const std::span<const std::uint16_t> expected(host_bf16);
    EXPECT_TRUE(tests::same_bits(expected, {found, kElements}));
  }

  std::vector<std::vector<float>> host;
  std::vector<at::Tensor> gpu;
  std::vector<std::uint16_t> host_bf16;
  at::Tensor gpu_bf16;
};

TEST(GpuUpdate, AdamWHasTheHostsBitsWhereverTheRunBegins) {
  for (const std::size_t begin : {0, 16, 3}) {
    Arrays arrays;
    for (int n = 1; n <= 3; ++n) {
      AdamWStep step;
      step.gradient_scale = 0.25f;
      step.lr = 3e-3f;
      step.weight_decay = 0.1f;
      step.correction1 = static_cast<float>(1 - std::pow(0.9, n));
      step.root_correction2 = static_cast<float>(std::sqrt(1 - std::pow(0.999, n)));
      update_adamw(step, arrays.on(false, begin, 2));
      update_adamw_cuda(step, arrays.on(true, begin, 2), nullptr);
    }
    arrays.expect_equal();
  }
}

TEST(GpuUpdate, LionHasTheHostsBits) {
  Arrays arrays;
  LionStep step;
  step.gradient_scale = 0.25f;
  step.lr = 3e-3f;
  step.weight_decay = 0.1f;
  update_lion(step, arrays.on(false, 0, 1));
  update_lion_cuda(step, arrays.on(true, 0, 1), nullptr);
  arrays.expect_equal();
}

TEST(GpuGradients, EnterTheSumWithTheHostsBits) {
  const std::vector<float> gradient = tests::normals(kElements, 0), before = tests::normals(kElements, 1);
  const at::Tensor gpu_gradient = tests::on_gpu(gradient), gpu_bf16 = gpu_gradient.to(at::kBFloat16);
  const at::Tensor bf16 = gpu_bf16.to(at::kCPU);
  for (const bool add : {false, true}) {
    for (const std::size_t begin : {0, 4, 1}) {
      const std::size_t count = kElements - begin;
      std::vector<float> sum = before;
      const at::Tensor gpu_sum = tests::on_gpu(before);
      float* const to = gpu_sum.mutable_data_ptr<float>() + begin;
      take_fp32(count, gradient.data() + begin, add, sum.data() + begin);
      take_fp32_cuda(count, gpu_gradient.const_data_ptr<float>() + begin, add, to, nullptr);
      take_bf16(count, static_cast<const std::uint16_t*>(bf16.const_data_ptr()) + begin, true, sum.data() + begin);
      take_bf16_cuda(count, static_cast<const std::uint16_t*>(gpu_bf16.const_data_ptr()) + begin, true, to, nullptr);
      EXPECT_TRUE(tests::same_bits(sum, tests::on_host(gpu_sum))) << add << " " << begin;
    }
  }
}

}  // namespace
}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
#include "core/cuda_error.h"
#include "trainer/gradient_kernels_cuda.h"

namespace pathline::trainer {
namespace {

constexpr int kThreads = 256;
constexpr std::size_t kMostBlocks = 1u << 16;
constexpr std::size_t kWide = 4;  // elements of a thread

__device__ float number(float value) { return value; }
__device__ float number(std::uint16_t bf16) { return __uint_as_float(static_cast<std::uint32_t>(bf16) << 16); }
__device__ float4 numbers(const float* from) { return *reinterpret_cast<const float4*>(from); }
__device__ float4 numbers(const std::uint16_t* from) {
  const ushort4 four = *reinterpret_cast<const ushort4*>(from);
  return {number(four.x), number(four.y), number(four.z), number(four.w)};
}

template <bool add, bool aligned, class Value>
__global__ void take(std::size_t elements, const Value* __restrict__ gradient, float* __restrict__ sum) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * kThreads * kWide;
  for (std::size_t at = (static_cast<std::size_t>(blockIdx.x) * kThreads + threadIdx.x) * kWide; at < elements;
       at += stride) {
    if (aligned && at + kWide <= elements) {
      float4 total = numbers(gradient + at);
      float4* const to = reinterpret_cast<float4*>(sum + at);
      if (add) {
        const float4 before = *to;
        total = {before.x + total.x, before.y + total.y, before.z + total.z, before.w + total.w};
      }
      *to = total;
    } else {
      for (std::size_t i = at; i < at + kWide && i < elements; ++i) {
        sum[i] = add ? sum[i] + number(gradient[i]) : number(gradient[i]);
      }
    }
  }
}

template <class Value>
void run(std::size_t elements, const Value* gradient, bool add, float* sum, CUstream_st* stream) {
  if (elements == 0) return;
  const bool aligned = reinterpret_cast<std::uintptr_t>(gradient) % (kWide * sizeof(Value)) == 0 &&
                       reinterpret_cast<std::uintptr_t>(sum) % (kWide * sizeof(float)) == 0;
  const std::size_t blocks = (elements + kThreads * kWide - 1) / (kThreads * kWide);
  const auto kernel = add ? (aligned ? take<true, true, Value> : take<true, false, Value>)
                          : (aligned ? take<false, true, Value> : take<false, false, Value>);
  const auto grid = static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks);
  kernel<<<grid, kThreads, 0, stream>>>(elements, gradient, sum);
  core::check_cuda(cudaGetLastError(), "collecting a gradient");
}

}  // namespace

void take_fp32_cuda(std::size_t elements, const float* gradient, bool add, float* sum, CUstream_st* stream) {
  run(elements, gradient, add, sum, stream);
}

void take_bf16_cuda(std::size_t elements, const std::uint16_t* gradient, bool add, float* sum, CUstream_st* stream) {
  run(elements, gradient, add, sum, stream);
}

}  // namespace pathline::trainer

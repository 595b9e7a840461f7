// SPDX-License-Identifier: Apache-2.0
//
// Note [Squares on the GPU]: the fixed order of block_norm.h has 16 running sums, so 16 threads share a block of 4,096
// elements and each adds up 256 of them in turn. A warp works on two blocks: it reads two runs of 64 bytes at a time,
// eight such reads under way, and a GPU holds thousands of warps, which is enough to be bound by memory. The square of
// a float is exact in fp64, so only the order of the additions matters.
#include <cstdint>

#include "cluster/block_layout.h"
#include "cluster/cuda_array_kernels.h"
#include "core/cuda_error.h"

namespace pathline::cluster {
namespace {

constexpr int kThreads = 256;
constexpr int kLanes = 16;
constexpr int kGroups = kThreads / kLanes;  // blocks of elements that a thread block works on
constexpr int kAhead = 8;
constexpr std::size_t kMostBlocks = 1u << 16;

unsigned blocks_for(std::size_t items, std::size_t of_one) {
  const std::size_t blocks = (items + of_one - 1) / of_one;
  return static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks);
}

template <class Vector>
bool on_vector_boundary(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % sizeof(Vector) == 0;
}

__device__ float plus(float a, float b) { return a + b; }
__device__ float4 plus(float4 a, float4 b) { return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w}; }

// `sum` may be `left` or `right`, so neither is __restrict__.
template <class Value>
__global__ void add(const Value* left, const Value* right, Value* sum, std::size_t count) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * kThreads;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += stride) {
    sum[i] = plus(left[i], right[i]);
  }
}

template <bool adds>
__global__ void squares_of_blocks(const float* left, const float* right, float* sum, std::size_t blocks,
                                  double* squares) {
  const int lane = threadIdx.x % kLanes, group = threadIdx.x / kLanes;
  // All threads of a warp go round equally often, for the shuffles: groups without a block work on the last one again.
  for (std::size_t first = static_cast<std::size_t>(blockIdx.x) * kGroups; first < blocks;
       first += static_cast<std::size_t>(gridDim.x) * kGroups) {
    const bool own = first + group < blocks;
    const std::size_t at = (own ? first + group : blocks - 1) * kBlock + lane;
    double total = 0.0;
    for (std::size_t row = 0; row < kBlock / kLanes; row += kAhead) {
      float values[kAhead];
#pragma unroll
      for (int k = 0; k < kAhead; ++k) values[k] = left[at + (row + k) * kLanes];
      if (adds) {
        float others[kAhead];
#pragma unroll
        for (int k = 0; k < kAhead; ++k) others[k] = right[at + (row + k) * kLanes];
#pragma unroll
        for (int k = 0; k < kAhead; ++k) values[k] = values[k] + others[k];
        if (own) {
#pragma unroll
          for (int k = 0; k < kAhead; ++k) sum[at + (row + k) * kLanes] = values[k];
        }
      }
#pragma unroll
      for (int k = 0; k < kAhead; ++k) total += static_cast<double>(values[k]) * static_cast<double>(values[k]);
    }
    for (int width = kLanes / 2; width > 0; width /= 2) total += __shfl_down_sync(0xffffffffu, total, width, kLanes);
    if (own && lane == 0) squares[first + group] = total;
  }
}

static_assert(kBlock % (kLanes * kAhead) == 0);

}  // namespace

void add_on_gpu(const float* left, const float* right, float* sum, std::size_t elements, CUstream_st* stream) {
  if (elements == 0) return;
  if (elements % 4 == 0 && on_vector_boundary<float4>(left) && on_vector_boundary<float4>(right) &&
      on_vector_boundary<float4>(sum)) {
    add<float4><<<blocks_for(elements / 4, kThreads), kThreads, 0, stream>>>(
        reinterpret_cast<const float4*>(left), reinterpret_cast<const float4*>(right), reinterpret_cast<float4*>(sum),
        elements / 4);
  } else {
    add<float><<<blocks_for(elements, kThreads), kThreads, 0, stream>>>(left, right, sum, elements);
  }
  core::check_cuda(cudaGetLastError(), "adding gradients");
}

void sum_squares_on_gpu(const float* values, std::size_t blocks, double* squares, CUstream_st* stream) {
  if (blocks == 0) return;
  squares_of_blocks<false>
      <<<blocks_for(blocks, kGroups), kThreads, 0, stream>>>(values, nullptr, nullptr, blocks, squares);
  core::check_cuda(cudaGetLastError(), "taking the norm of gradients");
}

void add_and_sum_squares_on_gpu(const float* left, const float* right, float* sum, std::size_t blocks, double* squares,
                                CUstream_st* stream) {
  if (blocks == 0) return;
  squares_of_blocks<true><<<blocks_for(blocks, kGroups), kThreads, 0, stream>>>(left, right, sum, blocks, squares);
  core::check_cuda(cudaGetLastError(), "adding gradients and taking their norm");
}

}  // namespace pathline::cluster

// SPDX-License-Identifier: Apache-2.0
#include "core/cuda_draws.h"

#include "core/cuda_error.h"
#include "core/philox.h"

namespace pathline::core {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kMostBlocks = 32768;

template <DrawLaw law>
__global__ void fill(std::uint64_t seed, std::uint32_t purpose, const std::int64_t* __restrict__ indices,
                     std::int64_t rows, std::int64_t row, float* __restrict__ out) {
  const std::int64_t quads = (row + 3) / 4;  // a Philox block has four words
  const bool whole = row % 4 == 0;           // and rows begin on 16-byte boundaries
  for (std::int64_t n = blockIdx.y; n < rows; n += gridDim.y) {
    const auto index = static_cast<std::uint64_t>(indices[n]);
    float* const to = out + n * row;
    for (std::int64_t q = blockIdx.x * static_cast<std::int64_t>(kThreads) + threadIdx.x; q < quads;
         q += static_cast<std::int64_t>(gridDim.x) * kThreads) {
      auto a = static_cast<std::uint32_t>(q), b = purpose;
      auto c = static_cast<std::uint32_t>(index), d = static_cast<std::uint32_t>(index >> 32);
      philox_block(a, b, c, d, static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
      float4 drawn;
      if (law == DrawLaw::kUniform) {
        drawn = {uniform_from_word(a), uniform_from_word(b), uniform_from_word(c), uniform_from_word(d)};
      } else {
        normal_pair(a, b, drawn.x, drawn.y);
        normal_pair(c, d, drawn.z, drawn.w);
      }
      if (whole) {
        reinterpret_cast<float4*>(to)[q] = drawn;
      } else {
        const float values[4] = {drawn.x, drawn.y, drawn.z, drawn.w};
        for (int i = 0; i < 4 && 4 * q + i < row; ++i) to[4 * q + i] = values[i];
      }
    }
  }
}

}  // namespace

void fill_draws_cuda(DrawLaw law, std::uint64_t seed, std::uint32_t purpose, const std::int64_t* indices,
                     std::int64_t rows, std::int64_t row, float* out, CUstream_st* stream) {
  if (rows == 0 || row == 0) return;
  const std::int64_t along = ((row + 3) / 4 + kThreads - 1) / kThreads;
  const dim3 blocks(static_cast<unsigned>(along < kMostBlocks ? along : kMostBlocks),
                    static_cast<unsigned>(rows < kMostBlocks ? rows : kMostBlocks));
  const auto kernel = law == DrawLaw::kUniform ? fill<DrawLaw::kUniform> : fill<DrawLaw::kNormal>;
  kernel<<<blocks, kThreads, 0, stream>>>(seed, purpose, indices, rows, row, out);
  check_cuda(cudaGetLastError(), "drawing random numbers");
}

}  // namespace pathline::core

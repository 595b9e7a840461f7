// SPDX-License-Identifier: Apache-2.0
//
// A thread block takes kChunk tokens of one sample. A thread owns 16 bytes of every token's row, so that what belongs
// to a column (shift, scale, gate, sums over tokens) stays in its registers. kRows tokens are under way at once: four
// loads in flight a thread, and one exchange between the threads for the sums over four rows.
#include <cuda_bf16.h>

#include "core/cuda_error.h"
#include "core/error.h"
#include "model/gpu_pass_kernels.h"

namespace pathline::model {
namespace {

constexpr int kChunk = 32;
constexpr int kRows = 4;
constexpr int kMostThreads = 512;  // of 128 registers each
constexpr int kWarp = 32;
constexpr float kEpsilon = 1e-6f;

static_assert(kChunk % kRows == 0);

/// 16 bytes of E as floats.
template <class E>
struct Wide;

template <>
struct Wide<float> {
  static constexpr int kSize = 4;
  static __device__ void load(const float* from, float (&to)[4]) {
    const float4 v = *reinterpret_cast<const float4*>(from);
    to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
  }
  static __device__ void store(const float (&from)[4], float* to) {
    *reinterpret_cast<float4*>(to) = {from[0], from[1], from[2], from[3]};
  }
};

template <>
struct Wide<__nv_bfloat16> {
  static constexpr int kSize = 8;
  static __device__ void load(const __nv_bfloat16* from, float (&to)[8]) {
    const uint4 v = *reinterpret_cast<const uint4*>(from);
    const unsigned words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      to[2 * k] = __uint_as_float(words[k] << 16);
      to[2 * k + 1] = __uint_as_float(words[k] & 0xffff0000u);
    }
  }
  static __device__ void store(const float (&from)[8], __nv_bfloat16* to) {
    __nv_bfloat162 pairs[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) pairs[k] = __floats2bfloat162_rn(from[2 * k], from[2 * k + 1]);
    *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(pairs);
  }
};

/// Every thread gets the sums over all threads of the block, in one fixed order. `shared` holds kSums floats a warp and
/// is another one than in the call before: a thread that is still reading that one has not come to this call's barrier.
template <int kSums>
__device__ void block_sum(float (&values)[kSums], float* shared) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
#pragma unroll
  for (int s = 0; s < kSums; ++s) {
#pragma unroll
    for (int step = kWarp / 2; step > 0; step /= 2) values[s] += __shfl_xor_sync(0xffffffffu, values[s], step);
    if (lane == 0) shared[warp * kSums + s] = values[s];
  }
  __syncthreads();
#pragma unroll
  for (int s = 0; s < kSums; ++s) {
    values[s] = 0.0f;
    for (int w = 0; w < warps; ++w) values[s] += shared[w * kSums + s];
  }
}

/// What a thread works on: `column` of `width`, tokens [first, last) of its sample.
struct Place {
  bool active;
  std::int64_t column, sample, first, last;
};

template <class E>
__device__ Place place_of(const PassShape& shape) {
  const std::int64_t column = static_cast<std::int64_t>(threadIdx.x) * Wide<E>::kSize;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kChunk;
  const std::int64_t last = first + kChunk < shape.tokens ? first + kChunk : shape.tokens;
  return {column < shape.width, column, static_cast<std::int64_t>(blockIdx.y), first, last};
}

template <class E>
__device__ void load_row(const E* rows, std::int64_t token, const PassShape& shape, const Place& at,
                         float (&to)[Wide<E>::kSize]) {
  if (at.active && token < at.last) {
    Wide<E>::load(rows + (at.sample * shape.tokens + token) * shape.width + at.column, to);
  } else {
#pragma unroll
    for (float& value : to) value = 0.0f;
  }
}

template <class E>
__device__ void store_row(const float (&from)[Wide<E>::kSize], std::int64_t token, const PassShape& shape,
                          const Place& at, E* rows) {
  if (!at.active || token >= at.last) return;
  Wide<E>::store(from, rows + (at.sample * shape.tokens + token) * shape.width + at.column);
}

/// Of shift, scale or gate.
template <class E>
__device__ void load_modulation(const E* rows, const PassShape& shape, const Place& at, float (&to)[Wide<E>::kSize]) {
  if (at.active) {
    Wide<E>::load(rows + at.sample * shape.row_stride + at.column, to);
  } else {
#pragma unroll
    for (float& value : to) value = 0.0f;
  }
}

template <int kSize>
__device__ void store_partial(const float (&sums)[kSize], const PassShape& shape, const Place& at, int sum,
                              int sums_kept, float* partials) {
  if (!at.active) return;
  const std::int64_t row = (at.sample * gridDim.x + blockIdx.x) * sums_kept + sum;
#pragma unroll
  for (int k = 0; k < kSize; ++k) partials[row * shape.width + at.column + k] = sums[k];
}

template <class E>
__global__ __launch_bounds__(kMostThreads) void norm_forward(PassShape shape, const E* x, const E* shift,
                                                             const E* scale, E* out, float* mean, float* rstd) {
  constexpr int kSize = Wide<E>::kSize;
  __shared__ float shared[2][kMostThreads / kWarp * kRows];
  const Place at = place_of<E>(shape);
  float added[kSize], factor[kSize];
  load_modulation(shift, shape, at, added);
  load_modulation(scale, shape, at, factor);
  const float share = 1.0f / static_cast<float>(shape.width);
  for (std::int64_t token = at.first; token < at.last; token += kRows) {
    float v[kRows][kSize], means[kRows], squares[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      load_row(x, token + r, shape, at, v[r]);
      means[r] = 0.0f;
#pragma unroll
      for (int k = 0; k < kSize; ++k) means[r] += v[r][k];
    }
    block_sum(means, shared[0]);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      means[r] *= share;
      squares[r] = 0.0f;
#pragma unroll
      for (int k = 0; k < kSize; ++k) squares[r] += at.active ? (v[r][k] - means[r]) * (v[r][k] - means[r]) : 0.0f;
    }
    block_sum(squares, shared[1]);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float inverse = 1.0f / sqrtf(squares[r] * share + kEpsilon);
#pragma unroll
      for (int k = 0; k < kSize; ++k) v[r][k] = (v[r][k] - means[r]) * inverse * (factor[k] + 1.0f) + added[k];
      store_row(v[r], token + r, shape, at, out);
      if (threadIdx.x == 0 && token + r < at.last) {
        mean[at.sample * shape.tokens + token + r] = means[r];
        rstd[at.sample * shape.tokens + token + r] = inverse;
      }
    }
  }
}

// With n = (x - mean) rstd and g = d (1 + scale): dx = rstd (g - avg(g) - n avg(g n)), dshift = sum d, dscale = sum d
// n.
template <class E>
__global__ __launch_bounds__(kMostThreads) void norm_backward(PassShape shape, const E* d, const E* x,
                                                              const E* scale, const float* mean,
                                                              const float* rstd, E* dx, float* partials) {
  constexpr int kSize = Wide<E>::kSize;
  __shared__ float shared[2][kMostThreads / kWarp * 2 * kRows];
  const Place at = place_of<E>(shape);
  float factor[kSize], dshift[kSize] = {}, dscale[kSize] = {};
  load_modulation(scale, shape, at, factor);
  const float share = 1.0f / static_cast<float>(shape.width);
  int turn = 0;
  for (std::int64_t token = at.first; token < at.last; token += kRows, turn = 1 - turn) {
    float n[kRows][kSize], g[kRows][kSize], inverse[kRows], sums[2 * kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      load_row(d, token + r, shape, at, g[r]);
      load_row(x, token + r, shape, at, n[r]);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const bool there = token + r < at.last;
      const std::int64_t row = at.sample * shape.tokens + token + r;
      const float center = there ? mean[row] : 0.0f;
      inverse[r] = there ? rstd[row] : 0.0f;
      sums[2 * r] = sums[2 * r + 1] = 0.0f;
#pragma unroll
      for (int k = 0; k < kSize; ++k) {
        n[r][k] = (n[r][k] - center) * inverse[r];
        dshift[k] += g[r][k];
        dscale[k] += g[r][k] * n[r][k];
        g[r][k] *= factor[k] + 1.0f;
        sums[2 * r] += g[r][k];
        sums[2 * r + 1] += g[r][k] * n[r][k];
      }
    }
    block_sum(sums, shared[turn]);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float average = sums[2 * r] * share, slope = sums[2 * r + 1] * share;
#pragma unroll
      for (int k = 0; k < kSize; ++k) n[r][k] = (g[r][k] - average - n[r][k] * slope) * inverse[r];
      store_row(n[r], token + r, shape, at, dx);
    }
  }
  store_partial(dshift, shape, at, 0, 2, partials);
  store_partial(dscale, shape, at, 1, 2, partials);
}

template <class E>
__global__ __launch_bounds__(kMostThreads) void residual_forward(PassShape shape, const E* x, const E* gate,
                                                                 const E* y, E* out) {
  constexpr int kSize = Wide<E>::kSize;
  const Place at = place_of<E>(shape);
  float factor[kSize];
  load_modulation(gate, shape, at, factor);
  for (std::int64_t token = at.first; token < at.last; token += kRows) {
    float a[kRows][kSize], b[kRows][kSize];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      load_row(x, token + r, shape, at, a[r]);
      load_row(y, token + r, shape, at, b[r]);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int k = 0; k < kSize; ++k) a[r][k] = a[r][k] + factor[k] * b[r][k];
      store_row(a[r], token + r, shape, at, out);
    }
  }
}

template <class E>
__global__ __launch_bounds__(kMostThreads) void residual_backward(PassShape shape, const E* d, const E* gate,
                                                                  const E* y, E* dy, float* partials) {
  constexpr int kSize = Wide<E>::kSize;
  const Place at = place_of<E>(shape);
  float factor[kSize], dgate[kSize] = {};
  load_modulation(gate, shape, at, factor);
  for (std::int64_t token = at.first; token < at.last; token += kRows) {
    float a[kRows][kSize], b[kRows][kSize];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      load_row(d, token + r, shape, at, a[r]);
      load_row(y, token + r, shape, at, b[r]);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int k = 0; k < kSize; ++k) {
        dgate[k] += a[r][k] * b[r][k];
        a[r][k] *= factor[k];
      }
      store_row(a[r], token + r, shape, at, dy);
    }
  }
  store_partial(dgate, shape, at, 0, 1, partials);
}

int wide_size(PassType type) { return type == PassType::kFloat ? Wide<float>::kSize : Wide<__nv_bfloat16>::kSize; }

/// launch(zero of type E, blocks, threads).
template <class Launch>
void by_type(const PassShape& shape, const char* what, const Launch& launch) {
  PL_ASSERT(fits_passes(shape.width, shape.type) && shape.samples <= kMostPassSamples);
  if (shape.samples == 0 || shape.tokens == 0) return;
  const std::int64_t wide = shape.width / wide_size(shape.type);
  const unsigned threads = static_cast<unsigned>((wide + kWarp - 1) / kWarp * kWarp);
  const dim3 blocks(static_cast<unsigned>(pass_chunks(shape.tokens)), static_cast<unsigned>(shape.samples));
  if (shape.type == PassType::kFloat) launch(float{}, blocks, threads);
  else launch(__nv_bfloat16{}, blocks, threads);
  core::check_cuda(cudaGetLastError(), what);
}

template <class E>
const E* as(const void* pointer, E) { return static_cast<const E*>(pointer); }
template <class E>
E* as(void* pointer, E) { return static_cast<E*>(pointer); }

}  // namespace

bool fits_passes(std::int64_t width, PassType type) {
  return width > 0 && width % wide_size(type) == 0 && width / wide_size(type) <= kMostThreads;
}

std::int64_t pass_chunks(std::int64_t tokens) { return (tokens + kChunk - 1) / kChunk; }

void modulated_norm_forward(const PassShape& shape, const void* x, const void* shift, const void* scale, void* out,
                            float* mean, float* rstd, CUstream_st* stream) {
  by_type(shape, "a modulated norm", [&](auto e, dim3 blocks, unsigned threads) {
    norm_forward<<<blocks, threads, 0, stream>>>(shape, as(x, e), as(shift, e), as(scale, e), as(out, e), mean, rstd);
  });
}

void modulated_norm_backward(const PassShape& shape, const void* d, const void* x, const void* scale, const float* mean,
                             const float* rstd, void* dx, float* partials, CUstream_st* stream) {
  by_type(shape, "the gradient of a modulated norm", [&](auto e, dim3 blocks, unsigned threads) {
    norm_backward<<<blocks, threads, 0, stream>>>(shape, as(d, e), as(x, e), as(scale, e), mean, rstd, as(dx, e),
                                                  partials);
  });
}

void gated_residual_forward(const PassShape& shape, const void* x, const void* gate, const void* y, void* out,
                            CUstream_st* stream) {
  by_type(shape, "a gated residual", [&](auto e, dim3 blocks, unsigned threads) {
    residual_forward<<<blocks, threads, 0, stream>>>(shape, as(x, e), as(gate, e), as(y, e), as(out, e));
  });
}

void gated_residual_backward(const PassShape& shape, const void* d, const void* gate, const void* y, void* dy,
                             float* partials, CUstream_st* stream) {
  by_type(shape, "the gradient of a gated residual", [&](auto e, dim3 blocks, unsigned threads) {
    residual_backward<<<blocks, threads, 0, stream>>>(shape, as(d, e), as(gate, e), as(y, e), as(dy, e), partials);
  });
}

}  // namespace pathline::model

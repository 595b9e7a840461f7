// SPDX-License-Identifier: Apache-2.0
//
// Note [The same bits on the GPU]: the operations are those of update_kernel.cc in the same order, each rounded once
// (--fmad=false; division and square root as IEEE 754 has them). A NaN may have other payload bits.
#include <cstdint>

#include "core/cuda_error.h"
#include "core/error.h"
#include "trainer/update_kernel_cuda.h"

namespace pathline::trainer {
namespace {

constexpr int kThreads = 256;
constexpr std::size_t kMostBlocks = 1u << 16;
constexpr int kWide = 4;  // elements of a thread: 16 bytes an array

struct Arrays {
  const float* gradient;
  float* master;
  float* moments[2];
  std::uint16_t* bf16;
  float* averages[kMostAveragesOnGpu];
  float weights[kMostAveragesOnGpu];
  int average_count;
};

struct AdamW {
  static constexpr int kMoments = 2;
  AdamWStep s;
  float kept, step_size, new1, new2;

  explicit AdamW(const AdamWStep& step)
      : s(step),
        kept(1.0f - step.lr * step.weight_decay),
        step_size(step.lr / step.correction1),
        new1(1.0f - step.beta1),
        new2(1.0f - step.beta2) {}

  __device__ void operator()(float gradient, float& parameter, float (&moments)[2]) const {
    const float g = gradient * s.gradient_scale;
    const float m = moments[0] + new1 * (g - moments[0]);
    const float v = s.beta2 * moments[1] + new2 * (g * g);
    moments[0] = m;
    moments[1] = v;
    const float root = __fdiv_rn(__fsqrt_rn(v), s.root_correction2) + s.epsilon;
    parameter = parameter * kept - step_size * __fdiv_rn(m, root);
  }
};

struct Lion {
  static constexpr int kMoments = 1;
  LionStep s;
  float kept, new1, new2;

  explicit Lion(const LionStep& step)
      : s(step), kept(1.0f - step.lr * step.weight_decay), new1(1.0f - step.beta1), new2(1.0f - step.beta2) {}

  __device__ void operator()(float gradient, float& parameter, float (&moments)[2]) const {
    const float g = gradient * s.gradient_scale;
    const float direction = s.beta1 * moments[0] + new1 * g;
    const float sign = direction > 0.0f ? 1.0f : (direction < 0.0f ? -1.0f : direction);
    moments[0] = s.beta2 * moments[0] + new2 * g;
    parameter = parameter * kept - s.lr * sign;
  }
};

/// To nearest, ties to even; NaN becomes 0x7fc0.
__device__ std::uint16_t rounded_to_bf16(float value) {
  const std::uint32_t bits = __float_as_uint(value);
  const std::uint32_t up = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<std::uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : up);
}

/// `count` elements from `from`, as one access where they are kWide.
template <bool whole>
__device__ void load(const float* from, int count, float (&to)[kWide]) {
  if (whole) {
    const float4 four = *reinterpret_cast<const float4*>(from);
    to[0] = four.x, to[1] = four.y, to[2] = four.z, to[3] = four.w;
  } else {
    for (int k = 0; k < kWide; ++k) to[k] = k < count ? from[k] : 0.0f;
  }
}

template <bool whole>
__device__ void store(const float (&from)[kWide], int count, float* to) {
  if (whole) {
    *reinterpret_cast<float4*>(to) = {from[0], from[1], from[2], from[3]};
  } else {
    for (int k = 0; k < count; ++k) to[k] = from[k];
  }
}

template <bool whole>
__device__ void store_bf16(const float (&from)[kWide], int count, std::uint16_t* to) {
  if (whole) {
    *reinterpret_cast<ushort4*>(to) = {rounded_to_bf16(from[0]), rounded_to_bf16(from[1]), rounded_to_bf16(from[2]),
                                       rounded_to_bf16(from[3])};
  } else {
    for (int k = 0; k < count; ++k) to[k] = rounded_to_bf16(from[k]);
  }
}

template <bool whole, class Rule>
__device__ void update_some(const Rule& rule, const Arrays& arrays, std::size_t at, int count) {
  float gradient[kWide], master[kWide], moments[2][kWide];
  load<whole>(arrays.gradient + at, count, gradient);
  load<whole>(arrays.master + at, count, master);
#pragma unroll
  for (int m = 0; m < Rule::kMoments; ++m) load<whole>(arrays.moments[m] + at, count, moments[m]);
#pragma unroll
  for (int k = 0; k < kWide; ++k) {
    float state[2] = {moments[0][k], Rule::kMoments > 1 ? moments[1][k] : 0.0f};
    rule(gradient[k], master[k], state);
    moments[0][k] = state[0];
    if (Rule::kMoments > 1) moments[1][k] = state[1];
  }
  store<whole>(master, count, arrays.master + at);
#pragma unroll
  for (int m = 0; m < Rule::kMoments; ++m) store<whole>(moments[m], count, arrays.moments[m] + at);
  for (int a = 0; a < arrays.average_count; ++a) {
    float average[kWide];
    load<whole>(arrays.averages[a] + at, count, average);
#pragma unroll
    for (int k = 0; k < kWide; ++k) average[k] = average[k] + arrays.weights[a] * (master[k] - average[k]);
    store<whole>(average, count, arrays.averages[a] + at);
  }
  if (arrays.bf16 != nullptr) store_bf16<whole>(master, count, arrays.bf16 + at);
}

template <bool aligned, class Rule>
__global__ void update(Rule rule, Arrays arrays, std::size_t elements) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * kThreads * kWide;
  for (std::size_t at = (static_cast<std::size_t>(blockIdx.x) * kThreads + threadIdx.x) * kWide; at < elements;
       at += stride) {
    if (aligned && at + kWide <= elements) {
      update_some<true>(rule, arrays, at, kWide);
    } else {
      update_some<false>(rule, arrays, at, static_cast<int>(elements - at < kWide ? elements - at : kWide));
    }
  }
}

bool on_boundary(const void* pointer, std::size_t bytes) {
  return reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0;
}

bool on_boundaries(const Arrays& arrays, int moments) {
  bool all = on_boundary(arrays.gradient, 16) && on_boundary(arrays.master, 16) && on_boundary(arrays.bf16, 8);
  for (int m = 0; m < moments; ++m) all = all && on_boundary(arrays.moments[m], 16);
  for (int a = 0; a < arrays.average_count; ++a) all = all && on_boundary(arrays.averages[a], 16);
  return all;
}

Arrays arrays_of(const ShardArrays& shard) {
  PL_CHECK(shard.averages.size() <= kMostAveragesOnGpu, core::ExitCode::kUsage, "ema.decays holds ",
           shard.averages.size(), " averages (one pass on a GPU updates at most ", kMostAveragesOnGpu,
           "). Keep fewer averages.");
  Arrays arrays{};
  arrays.gradient = shard.gradient;
  arrays.master = shard.master;
  for (std::size_t m = 0; m < shard.moments.size(); ++m) arrays.moments[m] = shard.moments[m];
  arrays.bf16 = shard.bf16_parameter;
  for (const AverageStep& average : shard.averages) {
    arrays.averages[arrays.average_count] = average.average;
    arrays.weights[arrays.average_count++] = average.one_minus_decay;
  }
  return arrays;
}

template <class Rule>
void run(const Rule& rule, const ShardArrays& shard, CUstream_st* stream) {
  PL_ASSERT(shard.moments.size() == Rule::kMoments);
  if (shard.elements == 0) return;
  const Arrays arrays = arrays_of(shard);
  constexpr std::size_t kOfOne = static_cast<std::size_t>(kThreads) * kWide;
  const std::size_t blocks = (shard.elements + kOfOne - 1) / kOfOne;
  const auto kernel = on_boundaries(arrays, Rule::kMoments) ? update<true, Rule> : update<false, Rule>;
  const auto grid = static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks);
  kernel<<<grid, kThreads, 0, stream>>>(rule, arrays, shard.elements);
  core::check_cuda(cudaGetLastError(), "updating parameters");
}

}  // namespace

void update_adamw_cuda(const AdamWStep& step, const ShardArrays& shard, CUstream_st* stream) {
  run(AdamW(step), shard, stream);
}

void update_lion_cuda(const LionStep& step, const ShardArrays& shard, CUstream_st* stream) {
  run(Lion(step), shard, stream);
}

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
// The fill loops for the baseline CPU, AVX2 and AVX-512. Loops over blocks, so that a vector holds one word of many.
#include "core/philox.h"
#include "core/random_kernels.h"

namespace pathline::core {
namespace {

PL_INLINE void uniform_body(const DrawKey& key, std::uint32_t first_block, std::size_t blocks, float* __restrict out) {
  const DrawKey k = key;
  for (std::size_t i = 0; i < blocks; ++i) {
    std::uint32_t a = first_block + static_cast<std::uint32_t>(i), b = k.purpose, c = k.index_low, d = k.index_high;
    philox_block(a, b, c, d, k.seed_low, k.seed_high);
    out[4 * i] = uniform_from_word(a);
    out[4 * i + 1] = uniform_from_word(b);
    out[4 * i + 2] = uniform_from_word(c);
    out[4 * i + 3] = uniform_from_word(d);
  }
}

PL_INLINE void normal_body(const DrawKey& key, std::uint32_t first_block, std::size_t blocks, float* __restrict out) {
  const DrawKey k = key;
  for (std::size_t i = 0; i < blocks; ++i) {
    std::uint32_t a = first_block + static_cast<std::uint32_t>(i), b = k.purpose, c = k.index_low, d = k.index_high;
    philox_block(a, b, c, d, k.seed_low, k.seed_high);
    float n0, n1, n2, n3;
    normal_pair(a, b, n0, n1);
    normal_pair(c, d, n2, n3);
    out[4 * i] = n0;
    out[4 * i + 1] = n1;
    out[4 * i + 2] = n2;
    out[4 * i + 3] = n3;
  }
}

#define PL_FILL_KERNELS(NAME, TARGET)                                                                   \
  TARGET void uniform_##NAME(const DrawKey& key, std::uint32_t first, std::size_t blocks, float* out) { \
    uniform_body(key, first, blocks, out);                                                              \
  }                                                                                                     \
  TARGET void normal_##NAME(const DrawKey& key, std::uint32_t first, std::size_t blocks, float* out) {  \
    normal_body(key, first, blocks, out);                                                               \
  }

PL_FILL_KERNELS(baseline, )
#if defined(__x86_64__)
PL_FILL_KERNELS(avx2, __attribute__((target("avx2,fma"))))
PL_FILL_KERNELS(avx512, __attribute__((target("avx512f,avx512dq,avx512vl,fma,prefer-vector-width=512"))))
#endif

std::vector<FillKernels> usable_kernels() {
  std::vector<FillKernels> kernels;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    kernels.push_back({"avx512", uniform_avx512, normal_avx512});
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    kernels.push_back({"avx2", uniform_avx2, normal_avx2});
  }
#endif
  kernels.push_back({"baseline", uniform_baseline, normal_baseline});
  return kernels;
}

}  // namespace

const std::vector<FillKernels>& fill_kernels() {
  static const std::vector<FillKernels> kernels = usable_kernels();
  return kernels;
}

}  // namespace pathline::core

// SPDX-License-Identifier: Apache-2.0
// Two standard normals from two words (Box and Muller 1958), by +, *, fma and sqrt on float alone: every CPU, every
// vector width and a GPU give the same bits. docs/formats/random.md is the specification. Compile with contraction off.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define PL_INLINE __host__ __device__ __forceinline__
#else
#define PL_INLINE inline __attribute__((always_inline))
#endif

namespace pathline::core {

PL_INLINE float float_from_bits(std::uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

PL_INLINE std::uint32_t bits_from_float(float value) {
  std::uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/// -2 ln u for u = (word + 1/2) 2^-32; relative error below 2e-7, also near u = 1.
PL_INLINE float minus_two_log(std::uint32_t word) {
  // As a signed number an upper word is word - 2^32: g is u for lower words and u - 1 for upper ones, exact near 0.
  const auto place = static_cast<std::int32_t>(word);
  const float g = (static_cast<float>(place) + 0.5f) * 0x1p-32f;
  const float u = place < 0 ? 1.0f + g : g;
  // u = 2^e m with m in [sqrt(1/2), sqrt(2)).
  const std::uint32_t shifted = bits_from_float(u) + (0x3f800000u - 0x3f3504f3u);
  const auto e = static_cast<float>(static_cast<std::int32_t>(shifted >> 23) - 127);
  const float m = float_from_bits((shifted & 0x7fffffu) + 0x3f3504f3u);
  const float f = e == 0.0f ? g : m - 1.0f;  // e = 0 only for upper words: u >= sqrt(1/2)
  // -2 ln(1 + f) / f, minimax in relative error on the range of f: 4.1e-9.
  float q = 0x1.382058p-3f;
  q = __builtin_fmaf(q, f, -0x1.0846aap-2f);
  q = __builtin_fmaf(q, f, 0x1.0f3a3ap-2f);
  q = __builtin_fmaf(q, f, -0x1.227226p-2f);
  q = __builtin_fmaf(q, f, 0x1.542714p-2f);
  q = __builtin_fmaf(q, f, -0x1.99a3e6p-2f);
  q = __builtin_fmaf(q, f, 0x1.000428p-1f);
  q = __builtin_fmaf(q, f, -0x1.555550p-1f);
  q = __builtin_fmaf(q, f, 0x1.fffff8p-1f);
  q = __builtin_fmaf(q, f, -0x1p+1f);
  return __builtin_fmaf(e, -0x1.62e430p+0f, q * f);  // -2 ln 2
}

/// `first` and `second` of the pair: sqrt(-2 ln u) times cos and sin of 2 pi b 2^-32, u = (a + 1/2) 2^-32.
PL_INLINE void normal_pair(std::uint32_t a, std::uint32_t b, float& first, float& second) {
  const float radius = __builtin_sqrtf(minus_two_log(a));
  // b = quadrant 2^30 + rest, rest in [-2^29, 2^29): an angle of at most pi/4 around a multiple of pi/2.
  const std::uint32_t quadrant = (b + 0x20000000u) >> 30;
  const auto rest = static_cast<std::int32_t>(b - (quadrant << 30));
  const float z = static_cast<float>(rest) * 0x1p-29f;
  const float w = z * z;
  // sin(pi/4 z) / z: 3.3e-9, cos(pi/4 z): 5.6e-11, minimax in relative error, polynomials in w = z^2.
  float s = -0x1.2d9302p-15f;
  s = __builtin_fmaf(s, w, 0x1.465e92p-9f);
  s = __builtin_fmaf(s, w, -0x1.4abbbap-4f);
  s = __builtin_fmaf(s, w, -0x1.a32b84p-26f);  // the first coefficient is this plus 0x1.921fb6p-1
  s = __builtin_fmaf(0x1.921fb6p-1f, z, s * z);
  float c = 0x1.d99f50p-19f;
  c = __builtin_fmaf(c, w, -0x1.55c4eap-12f);
  c = __builtin_fmaf(c, w, 0x1.03c1dap-6f);
  c = __builtin_fmaf(c, w, -0x1.3bd3ccp-2f);
  c = __builtin_fmaf(c, w, 1.0f);
  // A quarter turn maps (c, s) to (-s, c), a half turn changes both signs.
  const bool odd = (quadrant & 1) != 0;
  const std::uint32_t cosine_sign = (quadrant + 1) << 30 & 0x80000000u;
  const std::uint32_t sine_sign = quadrant << 30 & 0x80000000u;
  first = radius * float_from_bits(bits_from_float(odd ? s : c) ^ cosine_sign);
  second = radius * float_from_bits(bits_from_float(odd ? c : s) ^ sine_sign);
}

}  // namespace pathline::core

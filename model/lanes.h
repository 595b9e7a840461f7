// SPDX-License-Identifier: Apache-2.0
// Sixteen numbers at once, for the loops of the fused layers: fp32 arithmetic on rows of fp32 or bf16 in memory.
// The compiler turns them into one, two or four registers. Every operation is one IEEE operation per lane
// (-ffp-contract=off), so all instruction sets give the same bits.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>
#include <cstring>

#include "core/every_isa.h"

/// For what is called inside such a function.
#define PATHLINE_INLINE inline __attribute__((always_inline))
/// The body of each_lanes().
#define PATHLINE_BODY [&](std::int64_t i, std::int64_t n) __attribute__((always_inline))

namespace pathline::model {

constexpr std::int64_t kLanes = 16;

typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));
typedef std::int32_t IntLanes __attribute__((vector_size(kLanes * sizeof(std::int32_t))));
typedef std::uint32_t WordLanes __attribute__((vector_size(kLanes * sizeof(std::uint32_t))));
typedef std::uint16_t ShortLanes __attribute__((vector_size(kLanes * sizeof(std::uint16_t))));

PATHLINE_INLINE void load(Lanes& lanes, const float* from) { std::memcpy(&lanes, from, sizeof lanes); }
PATHLINE_INLINE void load(Lanes& lanes, const c10::BFloat16* from) {
  ShortLanes bits;
  std::memcpy(&bits, from, sizeof bits);
  lanes = reinterpret_cast<Lanes>(__builtin_convertvector(bits, WordLanes) << 16);
}

PATHLINE_INLINE void store(const Lanes& lanes, float* to) { std::memcpy(to, &lanes, sizeof lanes); }
/// Rounds to the nearest, ties to even; a NaN stays one.
PATHLINE_INLINE void store(const Lanes& lanes, c10::BFloat16* to) {
  const WordLanes bits = reinterpret_cast<WordLanes>(lanes);
  const WordLanes rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const ShortLanes halves = __builtin_convertvector(lanes == lanes ? rounded : WordLanes{} + 0x7FC0u, ShortLanes);
  std::memcpy(to, &halves, sizeof halves);
}

/// The first `count` of sixteen; the others are `fill`.
template <class E>
PATHLINE_INLINE void load(Lanes& lanes, const E* from, std::int64_t count, float fill = 0.0f) {
  if (count == kLanes) return load(lanes, from);
  E some[kLanes] = {};
  for (std::int64_t i = 0; i < kLanes; ++i) some[i] = i < count ? from[i] : E(0);
  load(lanes, some);
  for (std::int64_t i = 0; i < kLanes; ++i) lanes[i] = i < count ? lanes[i] : fill;
}

template <class E>
PATHLINE_INLINE void store(const Lanes& lanes, E* to, std::int64_t count) {
  if (count == kLanes) return store(lanes, to);
  E some[kLanes];
  store(lanes, some);
  for (std::int64_t i = 0; i < kLanes; ++i) {
    if (i < count) to[i] = some[i];
  }
}

/// body(i, count): [i, i + count) for all of [0, width); count is kLanes but for the last.
template <class Body>
PATHLINE_INLINE void each_lanes(std::int64_t width, const Body& body) {
  std::int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) body(i, kLanes);
  if (i < width) body(i, width - i);
}

/// The sum of all lanes, in pairs.
PATHLINE_INLINE float total(const Lanes& lanes) {
  float sums[kLanes];
  store(lanes, sums);
  for (std::int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::int64_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
}

/// e^x to 1.5e-7 relative, x cut to [-87, 88]; NaN stays NaN. The polynomial for |r| <= ln 2 / 2 is Cephes' expf.
PATHLINE_INLINE void exponential(const Lanes& exponent, Lanes& result) {
  Lanes x = exponent < -87.0f ? Lanes{} - 87.0f : exponent;
  x = x > 88.0f ? Lanes{} + 88.0f : x;
  const Lanes shifted = x * 1.44269504088896341f + 12582912.0f;  // 1.5 * 2^23: the integer lands in the low bits
  const Lanes n = shifted - 12582912.0f;
  const Lanes r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  Lanes p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const IntLanes power = (reinterpret_cast<IntLanes>(shifted) - 0x4B400000 + 127) << 23;
  result = p * reinterpret_cast<Lanes>(power);
}

}  // namespace pathline::model

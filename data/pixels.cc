// SPDX-License-Identifier: Apache-2.0
#include "data/pixels.h"

#include <algorithm>
#include <cstring>
#include <vector>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

#include "core/error.h"
#include "core/every_isa.h"

namespace pathline::data {

namespace {

constexpr float kScale = 1 / 127.5f;

/// The number of a level. Compiled without contraction into a fused operation, which would round once less.
inline float value_of(std::uint8_t level) { return static_cast<float>(level) * kScale - 1; }

// Three channels: eight pixels at once, one channel after the other, as numbers that go out in one stream are faster
// than a stream for each channel. Left and right are exchanged on the way, where that costs nothing.
constexpr std::size_t kPixels = 8;
typedef std::uint8_t Bytes __attribute__((vector_size(32)));
typedef std::uint32_t Words __attribute__((vector_size(32)));
typedef std::int32_t Levels __attribute__((vector_size(32)));
typedef float Values __attribute__((vector_size(32)));

/// Past the caches: without reading the line that is written; `out` is then a multiple of 16 bytes.
template <bool kPastCaches>
inline __attribute__((always_inline)) void store(const Values& values, float* out) {
#ifdef __SSE__
  if constexpr (kPastCaches) {
    __m128 halves[2];
    std::memcpy(halves, &values, sizeof values);
    _mm_stream_ps(out, halves[0]);
    _mm_stream_ps(out + 4, halves[1]);
    return;
  }
#endif
  std::memcpy(out, &values, sizeof values);
}

/// One channel of eight pixels; 32 bytes are read. Whole words first, four pixels to each half of a register, then the
/// channel's byte to the top of each pixel's word.
template <std::uint8_t kChannel, bool kMirrored, bool kPastCaches>
inline __attribute__((always_inline)) void eight_values(const std::uint8_t* in, float* out) {
  constexpr std::uint8_t a = kChannel + (kMirrored ? 9 : 0), b = kChannel + (kMirrored ? 6 : 3);
  constexpr std::uint8_t c = kChannel + (kMirrored ? 3 : 6), d = kChannel + (kMirrored ? 0 : 9);
  constexpr std::uint8_t h = sizeof(Bytes) / 2;
  constexpr Bytes kTops = {0, 0, 0, a, 0, 0, 0, b, 0, 0, 0, c, 0, 0, 0, d,
                           h, h, h, h + a, h, h, h, h + b, h, h, h, h + c, h, h, h, h + d};
  Words words;
  std::memcpy(&words, in, sizeof words);
  words = __builtin_shuffle(words, kMirrored ? Words{3, 4, 5, 6, 0, 1, 2, 3} : Words{0, 1, 2, 3, 3, 4, 5, 6});
  words = reinterpret_cast<Words>(__builtin_shuffle(reinterpret_cast<Bytes>(words), kTops)) >> 24;
  store<kPastCaches>(__builtin_convertvector(reinterpret_cast<Levels>(words), Values) * kScale - 1, out);
}

/// One channel of `width` pixels; bytes before `end` may be read.
template <std::uint8_t kChannel, bool kMirrored, bool kPastCaches>
inline __attribute__((always_inline)) void channel_of(const std::uint8_t* in, const std::uint8_t* end,
                                                      std::size_t width, float* out) {
  std::size_t x = 0;
  for (; x + kPixels <= width && end - in >= static_cast<std::ptrdiff_t>(3 * x + sizeof(Bytes)); x += kPixels) {
    eight_values<kChannel, kMirrored, kPastCaches>(in + 3 * x, out + (kMirrored ? width - kPixels - x : x));
  }
  for (; x < width; ++x) out[kMirrored ? width - 1 - x : x] = value_of(in[3 * x + kChannel]);
}

template <bool kMirrored, bool kPastCaches>
inline __attribute__((always_inline)) void planes(const std::uint8_t* in, std::size_t count, std::size_t width,
                                                  float* out) {
  const std::uint8_t* end = in + 3 * count;
  for (std::size_t i = 0; i < count; i += width) channel_of<0, kMirrored, kPastCaches>(in + 3 * i, end, width, out + i);
  out += count;
  for (std::size_t i = 0; i < count; i += width) channel_of<1, kMirrored, kPastCaches>(in + 3 * i, end, width, out + i);
  out += count;
  for (std::size_t i = 0; i < count; i += width) channel_of<2, kMirrored, kPastCaches>(in + 3 * i, end, width, out + i);
}

PATHLINE_EVERY_ISA void planes_of_3(const std::uint8_t* in, std::size_t count, std::size_t width, bool mirrored,
                                    float* out) {
  if (mirrored) return planes<true, false>(in, count, width, out);
  planes<false, false>(in, count, count, out);  // all rows as one
}

PATHLINE_EVERY_ISA void planes_of_3_past_caches(const std::uint8_t* in, std::size_t count, std::size_t width,
                                                bool mirrored, float* out) {
  if (mirrored) return planes<true, true>(in, count, width, out);
  planes<false, true>(in, count, count, out);
}

/// Seen by other threads as what is stored otherwise is.
void finish_stores() {
#ifdef __SSE__
  _mm_sfence();
#endif
}

/// Every eight values begin at a multiple of 16 bytes.
bool fits_past_caches(const float* out, std::size_t count, std::size_t width) {
  return reinterpret_cast<std::uintptr_t>(out) % 16 == 0 && count % 4 == 0 && width % 4 == 0;
}

PATHLINE_EVERY_ISA void values_of(const std::uint8_t* in, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = value_of(in[i]);
}

void planes_of(const std::uint8_t* in, std::size_t count, std::size_t channels, float* out) {
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t i = 0; i < count; ++i) out[c * count + i] = value_of(in[i * channels + c]);
  }
}

PATHLINE_EVERY_ISA void mirror(float* rows, std::size_t count, std::size_t width) {
  for (std::size_t row = 0; row < count; ++row) std::reverse(rows + row * width, rows + (row + 1) * width);
}

}  // namespace

void pixels_to_values(std::span<const std::byte> pixels, std::int64_t height, std::int64_t width, std::int64_t channels,
                      bool mirrored, std::span<float> out, bool past_caches) {
  const auto count = static_cast<std::size_t>(height * width), depth = static_cast<std::size_t>(channels);
  const auto columns = static_cast<std::size_t>(width);
  PL_ASSERT(pixels.size() == count * depth && out.size() == pixels.size());
  const auto* in = reinterpret_cast<const std::uint8_t*>(pixels.data());
  if (channels == 3 && past_caches && fits_past_caches(out.data(), count, columns)) {
    planes_of_3_past_caches(in, count, columns, mirrored, out.data());
    return finish_stores();
  }
  if (channels == 3) return planes_of_3(in, count, columns, mirrored, out.data());
  if (channels == 1) {
    values_of(in, count, out.data());
  } else {
    planes_of(in, count, depth, out.data());
  }
  if (mirrored) mirror(out.data(), static_cast<std::size_t>(height) * depth, columns);
}

void dequantize(const core::Draws& draws, std::span<float> values) {
  thread_local std::vector<float> u;
  u.resize(values.size());
  draws.fill_uniform(u);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += (u[i] - 0.5f) * kScale;
}

}  // namespace pathline::data

// SPDX-License-Identifier: Apache-2.0
#include "model/layout_kernels.h"

#include <algorithm>

#include "model/lanes.h"

namespace pathline::model {
namespace {

using c10::BFloat16;

/// Exchanges what lies off the diagonal in pairs of rows `kStep` apart: one of four rounds of a 16 x 16 transpose.
template <int kStep>
PATHLINE_INLINE void exchange(Lanes* v) {
  IntLanes low, high;
  for (int i = 0; i < kLanes; ++i) {
    low[i] = (i & kStep) ? i - kStep + static_cast<int>(kLanes) : i;
    high[i] = (i & kStep) ? i + static_cast<int>(kLanes) : i + kStep;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if (i & kStep) continue;
    const Lanes a = v[i], b = v[i + kStep];
    v[i] = __builtin_shuffle(a, b, low);
    v[i + kStep] = __builtin_shuffle(a, b, high);
  }
}

template <class From, class To>
PATHLINE_INLINE void transpose_rows(Rows rows, const From* in, std::int64_t in_stride, To* out,
                                    std::int64_t out_stride) {
  for (std::int64_t row = 0; row < rows.count; row += kLanes) {
    const std::int64_t height = std::min(kLanes, rows.count - row);
    for (std::int64_t column = 0; column < rows.width; column += kLanes) {
      const std::int64_t wide = std::min(kLanes, rows.width - column);
      Lanes v[kLanes];
      if (height == kLanes && wide == kLanes) {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) load(v[i], in + (row + i) * in_stride + column);
        exchange<1>(v);
        exchange<2>(v);
        exchange<4>(v);
        exchange<8>(v);
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) store(v[i], out + (column + i) * out_stride + row);
      } else {
        for (int i = 0; i < wide; ++i) {
          To* to = out + (column + i) * out_stride + row;
          for (int j = 0; j < height; ++j) to[j] = in[(row + j) * in_stride + column + i];
        }
      }
    }
  }
}

}  // namespace

// A template cannot have copies for every instruction set, its specialisations can.
#define PATHLINE_TRANSPOSE(From, To)                                                            \
  template <>                                                                                   \
  PATHLINE_EVERY_ISA void transpose(Rows rows, const From* in, std::int64_t in_stride, To* out, \
                                    std::int64_t out_stride) {                                  \
    transpose_rows(rows, in, in_stride, out, out_stride);                                       \
  }
PATHLINE_TRANSPOSE(float, float)
PATHLINE_TRANSPOSE(float, BFloat16)
PATHLINE_TRANSPOSE(BFloat16, BFloat16)

PATHLINE_EVERY_ISA
void interleave(Rows rows, const BFloat16* in, std::int64_t in_stride, BFloat16* out) {
  const std::int64_t body = rows.width - rows.width % kLanes;
  for (std::int64_t row = 0; row < rows.count; row += 2, out += 2 * rows.width) {
    const BFloat16 *first = in + row * in_stride, *second = first + in_stride;
    if (row + 1 == rows.count) {
      for (std::int64_t i = 0; i < rows.width; ++i) out[2 * i] = first[i], out[2 * i + 1] = 0.0f;
      continue;
    }
    for (std::int64_t i = 0; i < body; i += kLanes) {
      ShortLanes a, b;
      std::memcpy(&a, first + i, sizeof a);
      std::memcpy(&b, second + i, sizeof b);
      const WordLanes pairs = __builtin_convertvector(a, WordLanes) | (__builtin_convertvector(b, WordLanes) << 16);
      std::memcpy(static_cast<void*>(out + 2 * i), &pairs, sizeof pairs);
    }
    for (std::int64_t i = body; i < rows.width; ++i) out[2 * i] = first[i], out[2 * i + 1] = second[i];
  }
}

}  // namespace pathline::model

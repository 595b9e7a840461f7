// SPDX-License-Identifier: Apache-2.0
#include "model/softmax_kernels.h"

#include <cmath>

#include "model/lanes.h"

namespace pathline::model {
namespace {

using c10::BFloat16;

template <class E>
PATHLINE_INLINE void fill_gap(E* row, std::int64_t width, std::int64_t stride) {
  for (std::int64_t i = width; i < stride; ++i) row[i] = 0.0f;
}

template <class E>
PATHLINE_INLINE void softmax(Rows rows, const float* s, float scale, E* p, std::int64_t stride, float* peak,
                             float* share) {
  const float lowest = -INFINITY;
  for (std::int64_t row = 0; row < rows.count; ++row, s += rows.width, p += stride) {
    Lanes tops = Lanes{} + lowest;
    each_lanes(
        rows.width, PATHLINE_BODY {
          Lanes v;
          load(v, s + i, n, lowest);
          tops = v < tops ? tops : v;
        });
    float top = tops[0];
    for (int i = 1; i < kLanes; ++i) top = tops[i] < top ? top : tops[i];
    Lanes sums = {};
    each_lanes(
        rows.width, PATHLINE_BODY {
          Lanes v;
          load(v, s + i, n, lowest);
          exponential((v - top) * scale, v);
          for (std::int64_t j = n; j < kLanes; ++j) v[j] = 0.0f;
          sums += v;
        });
    const float portion = 1.0f / total(sums);
    each_lanes(
        rows.width, PATHLINE_BODY {
          Lanes v;
          load(v, s + i, n);
          exponential((v - top) * scale, v);
          store(v * portion, p + i, n);
        });
    fill_gap(p, rows.width, stride);
    peak[row] = top;
    share[row] = portion;
  }
}

template <class E>
PATHLINE_INLINE void softmax_transposed(Rows rows, const float* s, float scale, const float* peak, const float* share,
                                        E* p, std::int64_t stride) {
  for (std::int64_t row = 0; row < rows.count; ++row, s += rows.width, p += stride) {
    each_lanes(
        rows.width, PATHLINE_BODY {
          Lanes v, top, portion;
          load(v, s + i, n);
          load(top, peak + i, n);
          load(portion, share + i, n);
          exponential((v - top) * scale, v);
          store(v * portion, p + i, n);
        });
    fill_gap(p, rows.width, stride);
  }
}

template <class E>
PATHLINE_INLINE void softmax_slope(Rows rows, const E* p, const float* delta, float scale, float* dp, E* ds,
                                   std::int64_t stride) {
  for (std::int64_t row = 0; row < rows.count; ++row, p += stride, dp += rows.width, ds += stride) {
    each_lanes(
        rows.width, PATHLINE_BODY {
          Lanes v, d, less;
          load(v, p + i, n);
          load(d, dp + i, n);
          load(less, delta + i, n);
          v = v * (d - less) * scale;
          store(v, dp + i, n);
          store(v, ds + i, n);
        });
    fill_gap(ds, rows.width, stride);
  }
}

template <class E>
PATHLINE_INLINE void products(Rows rows, const E* a, const E* b, std::int64_t stride, float* out) {
  for (std::int64_t row = 0; row < rows.count; ++row) {
    Lanes sums = {};
    each_lanes(
        rows.width, PATHLINE_BODY {
          Lanes v, w;
          load(v, a + row * stride + i, n);
          load(w, b + row * stride + i, n);
          sums += v * w;
        });
    out[row] = total(sums);
  }
}

}  // namespace

// Each loop for both element types; a template cannot have copies for every instruction set, its specialisations can.
#define PATHLINE_KERNELS(E)                                                                                            \
  template <>                                                                                                          \
  PATHLINE_EVERY_ISA void softmax_rows(Rows rows, const float* s, float scale, E* p, std::int64_t stride, float* peak, \
                                       float* share) {                                                                 \
    softmax(rows, s, scale, p, stride, peak, share);                                                                   \
  }                                                                                                                    \
  template <>                                                                                                          \
  PATHLINE_EVERY_ISA void softmax_again(Rows rows, const float* s, float scale, const float* peak, const float* share, \
                                        E* p, std::int64_t stride) {                                                   \
    softmax_transposed(rows, s, scale, peak, share, p, stride);                                                        \
  }                                                                                                                    \
  template <>                                                                                                          \
  PATHLINE_EVERY_ISA void softmax_backward(Rows rows, const E* p, const float* delta, float scale, float* dp, E* ds,   \
                                           std::int64_t stride) {                                                      \
    softmax_slope(rows, p, delta, scale, dp, ds, stride);                                                              \
  }                                                                                                                    \
  template <>                                                                                                          \
  PATHLINE_EVERY_ISA void row_products(Rows rows, const E* a, const E* b, std::int64_t stride, float* out) {           \
    products(rows, a, b, stride, out);                                                                                 \
  }
PATHLINE_KERNELS(float)
PATHLINE_KERNELS(BFloat16)

}  // namespace pathline::model

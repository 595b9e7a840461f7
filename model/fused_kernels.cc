// SPDX-License-Identifier: Apache-2.0
#include "model/fused_kernels.h"

#include <algorithm>
#include <cmath>

#include "model/lanes.h"

#define PATHLINE_BODY [&](std::int64_t i, std::int64_t n) __attribute__((always_inline))

namespace pathline::model {
namespace {

using c10::BFloat16;
constexpr double kEpsilon = 1e-6;

/// Mean and 1 / standard deviation of a row, in two passes.
template <class E>
PATHLINE_INLINE void moments(const E* x, std::int64_t width, float& mean, float& rstd) {
  Lanes sums = {};
  each_lanes(width, PATHLINE_BODY {
    Lanes v;
    load(v, x + i, n);
    sums += v;
  });
  const float m = total(sums) / static_cast<float>(width);
  sums = Lanes{};
  each_lanes(width, PATHLINE_BODY {
    Lanes v;
    load(v, x + i, n, m);
    v -= m;
    sums += v * v;
  });
  mean = m;
  rstd = static_cast<float>(1.0 / std::sqrt(static_cast<double>(total(sums)) / static_cast<double>(width) + kEpsilon));
}

PATHLINE_INLINE void add_to(float* sums, std::int64_t n, const Lanes& v) {
  Lanes t;
  load(t, sums, n);
  store(t + v, sums, n);
}

template <class E>
PATHLINE_INLINE void norm_forward(Rows rows, const E* x, const E* shift, const E* scale, E* out, float* mean,
                                  float* rstd) {
  for (std::int64_t row = 0; row < rows.count; ++row, x += rows.width, out += rows.width) {
    float m, r;
    moments(x, rows.width, m, r);
    mean[row] = m;
    rstd[row] = r;
    each_lanes(rows.width, PATHLINE_BODY {
      Lanes v, s, b;
      load(v, x + i, n);
      load(s, scale + i, n);
      load(b, shift + i, n);
      store((v - m) * r * (s + 1.0f) + b, out + i, n);
    });
  }
}

// With n = (x - mean) rstd and g = d (1 + scale):
// dx = rstd (g - avg(g) - n avg(g n)), dshift = sum d, dscale = sum d n.
template <class E, class G>
PATHLINE_INLINE void norm_backward(Rows rows, const G* d, const E* x, const E* scale, const float* mean,
                                   const float* rstd, const E* residual, E* dx, float* dshift, float* dscale) {
  const std::int64_t width = rows.width;
  const float portion = 1.0f / static_cast<float>(width);
  std::fill_n(dshift, width, 0.0f);
  std::fill_n(dscale, width, 0.0f);
  for (std::int64_t row = 0; row < rows.count; ++row, d += width, x += width, dx += width) {
    const float m = mean[row], r = rstd[row];
    Lanes sum_g = {}, sum_gn = {};
    each_lanes(width, PATHLINE_BODY {
      Lanes v, s, normed;
      load(v, d + i, n);
      load(normed, x + i, n);
      load(s, scale + i, n);
      normed = (normed - m) * r;
      const Lanes g = v * (s + 1.0f), vn = v * normed;
      sum_g += g;
      sum_gn += g * normed;
      add_to(dshift + i, n, v);
      add_to(dscale + i, n, vn);
    });
    const float average_g = total(sum_g) * portion, average_gn = total(sum_gn) * portion;
    each_lanes(width, PATHLINE_BODY {
      Lanes v, s, normed, rest = {};
      load(v, d + i, n);
      load(normed, x + i, n);
      load(s, scale + i, n);
      if (residual != nullptr) load(rest, residual + row * width + i, n);
      normed = (normed - m) * r;
      store((v * (s + 1.0f) - average_g - normed * average_gn) * r + rest, dx + i, n);
    });
  }
}

template <class E>
PATHLINE_INLINE void residual_forward(Rows rows, const E* x, const E* gate, const float* product, const E* bias, E* y,
                                      E* out) {
  for (std::int64_t row = 0; row < rows.count; ++row) {
    const std::int64_t at = row * rows.width;
    each_lanes(rows.width, PATHLINE_BODY {
      Lanes a, g, p, b;
      load(a, x + at + i, n);
      load(g, gate + i, n);
      load(p, product + at + i, n);
      load(b, bias + i, n);
      p += b;
      if (y != nullptr) store(p, y + at + i, n);
      store(a + g * p, out + at + i, n);
    });
  }
}

template <class E>
PATHLINE_INLINE void residual_backward(Rows rows, const E* d, const E* gate, const E* y, E* dy, float* dgate,
                                       float* dbias) {
  const std::int64_t width = rows.width;
  std::fill_n(dgate, width, 0.0f);
  std::fill_n(dbias, width, 0.0f);
  for (std::int64_t row = 0; row < rows.count; ++row, d += width, y += width, dy += width) {
    each_lanes(width, PATHLINE_BODY {
      Lanes v, g, b;
      load(v, d + i, n);
      load(g, gate + i, n);
      load(b, y + i, n);
      store(v * g, dy + i, n);
      add_to(dgate + i, n, v * b);
      add_to(dbias + i, n, v);
    });
  }
  each_lanes(width, PATHLINE_BODY {
    Lanes s, g;
    load(s, dbias + i, n);
    load(g, gate + i, n);
    store(s * g, dbias + i, n);
  });
}

// GELU(h) = h s, s = 1 / (1 + exp(-2 u)), u = sqrt(2 / pi) (h + 0.044715 h^3), since (1 + tanh u) / 2 = s.
// GELU'(h) = s + h s (1 - s) 2 u'.
template <class E>
PATHLINE_INLINE void gelu_rows(Rows rows, const float* product, const E* bias, E* out, E* slope, std::int64_t stride) {
  constexpr float kLinear = -2.0f * 0.7978845608f, kCubic = kLinear * 0.044715f;
  for (std::int64_t row = 0; row < rows.count; ++row, product += rows.width) {
    each_lanes(rows.width, PATHLINE_BODY {
      Lanes h, b;
      load(h, product + i, n);
      load(b, bias + i, n);
      h += b;
      const Lanes square = h * h;
      Lanes s;
      exponential((square * kCubic + kLinear) * h, s);
      s = 1.0f / (s + 1.0f);
      const Lanes value = h * s;
      store(value, out + row * stride + i, n);
      if (slope != nullptr) {
        const Lanes twice = square * (-3.0f * kCubic) - kLinear;  // 2 u'
        store(s + value * (1.0f - s) * twice, slope + row * stride + i, n);
      }
    });
  }
}

template <class E>
PATHLINE_INLINE void gelu_rows_backward(Rows rows, const float* product, const E* slope, E* dh, std::int64_t stride,
                                        float* dbias) {
  std::fill_n(dbias, rows.width, 0.0f);
  for (std::int64_t row = 0; row < rows.count; ++row, product += rows.width) {
    each_lanes(rows.width, PATHLINE_BODY {
      Lanes v, s;
      load(v, product + i, n);
      load(s, slope + row * stride + i, n);
      v *= s;
      store(v, dh + row * stride + i, n);
      add_to(dbias + i, n, v);
    });
  }
}

template <class E>
PATHLINE_INLINE void write(Rows rows, const float* product, const E* bias, E* out, std::int64_t stride, float* sums) {
  for (std::int64_t row = 0; row < rows.count; ++row, product += rows.width) {
    each_lanes(rows.width, PATHLINE_BODY {
      Lanes v, b;
      load(v, product + i, n);
      if (bias != nullptr) {
        load(b, bias + i, n);
        v += b;
      }
      store(v, out + row * stride + i, n);
      if (sums != nullptr) add_to(sums + i, n, v);
    });
  }
}

template <class E>
PATHLINE_INLINE void add_rows(Rows rows, const float* in, std::int64_t stride, E* out) {
  each_lanes(rows.width, PATHLINE_BODY {
    Lanes sum = {}, v;
    for (std::int64_t row = 0; row < rows.count; ++row) {
      load(v, in + row * stride + i, n);
      sum += v;
    }
    store(sum, out + i, n);
  });
}

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
          for (int j = 0; j < height; ++j) out[(column + i) * out_stride + row + j] = in[(row + j) * in_stride + column + i];
        }
      }
    }
  }
}

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
    each_lanes(rows.width, PATHLINE_BODY {
      Lanes v;
      load(v, s + i, n, lowest);
      tops = v < tops ? tops : v;
    });
    float top = tops[0];
    for (int i = 1; i < kLanes; ++i) top = tops[i] < top ? top : tops[i];
    Lanes sums = {};
    each_lanes(rows.width, PATHLINE_BODY {
      Lanes v;
      load(v, s + i, n, lowest);
      exponential((v - top) * scale, v);
      for (std::int64_t j = n; j < kLanes; ++j) v[j] = 0.0f;
      sums += v;
    });
    const float portion = 1.0f / total(sums);
    each_lanes(rows.width, PATHLINE_BODY {
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
    each_lanes(rows.width, PATHLINE_BODY {
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
    each_lanes(rows.width, PATHLINE_BODY {
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
    each_lanes(rows.width, PATHLINE_BODY {
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
  PATHLINE_EVERY_ISA void modulated_norm_forward(Rows rows, const E* x, const E* shift, const E* scale, E* out,        \
                                                 float* mean, float* rstd) {                                           \
    norm_forward(rows, x, shift, scale, out, mean, rstd);                                                              \
  }                                                                                                                    \
  template <>                                                                                                          \
  PATHLINE_EVERY_ISA void gated_residual_forward(Rows rows, const E* x, const E* gate, const float* product,           \
                                                 const E* bias, E* y, E* out) {                                        \
    residual_forward(rows, x, gate, product, bias, y, out);                                                            \
  }                                                                                                                    \
  template <>                                                                                                          \
  PATHLINE_EVERY_ISA void gated_residual_backward(Rows rows, const E* d, const E* gate, const E* y, E* dy,             \
                                                  float* dgate, float* dbias) {                                        \
    residual_backward(rows, d, gate, y, dy, dgate, dbias);                                                             \
  }                                                                                                                    \
  template <>                                                                                                          \
  PATHLINE_EVERY_ISA void gelu_forward(Rows rows, const float* product, const E* bias, E* out, E* slope,               \
                                       std::int64_t stride) {                                                          \
    gelu_rows(rows, product, bias, out, slope, stride);                                                                \
  }                                                                                                                    \
  template <>                                                                                                          \
  PATHLINE_EVERY_ISA void gelu_backward(Rows rows, const float* product, const E* slope, E* dh, std::int64_t stride,   \
                                        float* dbias) {                                                                \
    gelu_rows_backward(rows, product, slope, dh, stride, dbias);                                                       \
  }                                                                                                                    \
  template <>                                                                                                          \
  PATHLINE_EVERY_ISA void write_rows(Rows rows, const float* product, const E* bias, E* out, std::int64_t stride,      \
                                     float* sums) {                                                                    \
    write(rows, product, bias, out, stride, sums);                                                                     \
  }                                                                                                                    \
  template <>                                                                                                          \
  PATHLINE_EVERY_ISA void sum_rows(Rows rows, const float* in, std::int64_t stride, E* out) {                          \
    add_rows(rows, in, stride, out);                                                                                   \
  }                                                                                                                    \
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

#define PATHLINE_TWO_TYPES(E, G)                                                                                       \
  template <>                                                                                                          \
  PATHLINE_EVERY_ISA void modulated_norm_backward(Rows rows, const G* d, const E* x, const E* scale, const float* mean, \
                                                  const float* rstd, const E* residual, E* dx, float* dshift,          \
                                                  float* dscale) {                                                     \
    norm_backward(rows, d, x, scale, mean, rstd, residual, dx, dshift, dscale);                                        \
  }                                                                                                                    \
  template <>                                                                                                          \
  PATHLINE_EVERY_ISA void transpose(Rows rows, const G* in, std::int64_t in_stride, E* out, std::int64_t out_stride) { \
    transpose_rows(rows, in, in_stride, out, out_stride);                                                              \
  }
PATHLINE_TWO_TYPES(float, float)
PATHLINE_TWO_TYPES(BFloat16, float)
PATHLINE_TWO_TYPES(BFloat16, BFloat16)

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

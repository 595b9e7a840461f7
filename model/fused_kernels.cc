// SPDX-License-Identifier: Apache-2.0
#include "model/fused_kernels.h"

#include <algorithm>
#include <cmath>

#include "model/lanes.h"

namespace pathline::model {
namespace {

using c10::BFloat16;
constexpr double kEpsilon = 1e-6;

/// Mean and 1 / standard deviation of a row, in two passes.
template <class E>
PATHLINE_INLINE void moments(const E* x, std::int64_t width, float& mean, float& rstd) {
  Lanes sums = {};
  each_lanes(
      width, PATHLINE_BODY {
        Lanes v;
        load(v, x + i, n);
        sums += v;
      });
  const float m = total(sums) / static_cast<float>(width);
  sums = Lanes{};
  each_lanes(
      width, PATHLINE_BODY {
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
    each_lanes(
        rows.width, PATHLINE_BODY {
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
    each_lanes(
        width, PATHLINE_BODY {
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
    each_lanes(
        width, PATHLINE_BODY {
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
    each_lanes(
        rows.width, PATHLINE_BODY {
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
    each_lanes(
        width, PATHLINE_BODY {
          Lanes v, g, b;
          load(v, d + i, n);
          load(g, gate + i, n);
          load(b, y + i, n);
          store(v * g, dy + i, n);
          add_to(dgate + i, n, v * b);
          add_to(dbias + i, n, v);
        });
  }
  each_lanes(
      width, PATHLINE_BODY {
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
    each_lanes(
        rows.width, PATHLINE_BODY {
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
    each_lanes(
        rows.width, PATHLINE_BODY {
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
    each_lanes(
        rows.width, PATHLINE_BODY {
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
  each_lanes(
      rows.width, PATHLINE_BODY {
        Lanes sum = {}, v;
        for (std::int64_t row = 0; row < rows.count; ++row) {
          load(v, in + row * stride + i, n);
          sum += v;
        }
        store(sum, out + i, n);
      });
}

}  // namespace

// Each loop for both element types; a template cannot have copies for every instruction set, its specialisations can.
#define PATHLINE_KERNELS(E)                                                                                          \
  template <>                                                                                                        \
  PATHLINE_EVERY_ISA void modulated_norm_forward(Rows rows, const E* x, const E* shift, const E* scale, E* out,      \
                                                 float* mean, float* rstd) {                                         \
    norm_forward(rows, x, shift, scale, out, mean, rstd);                                                            \
  }                                                                                                                  \
  template <>                                                                                                        \
  PATHLINE_EVERY_ISA void gated_residual_forward(Rows rows, const E* x, const E* gate, const float* product,         \
                                                 const E* bias, E* y, E* out) {                                      \
    residual_forward(rows, x, gate, product, bias, y, out);                                                          \
  }                                                                                                                  \
  template <>                                                                                                        \
  PATHLINE_EVERY_ISA void gated_residual_backward(Rows rows, const E* d, const E* gate, const E* y, E* dy,           \
                                                  float* dgate, float* dbias) {                                      \
    residual_backward(rows, d, gate, y, dy, dgate, dbias);                                                           \
  }                                                                                                                  \
  template <>                                                                                                        \
  PATHLINE_EVERY_ISA void gelu_forward(Rows rows, const float* product, const E* bias, E* out, E* slope,             \
                                       std::int64_t stride) {                                                        \
    gelu_rows(rows, product, bias, out, slope, stride);                                                              \
  }                                                                                                                  \
  template <>                                                                                                        \
  PATHLINE_EVERY_ISA void gelu_backward(Rows rows, const float* product, const E* slope, E* dh, std::int64_t stride, \
                                        float* dbias) {                                                              \
    gelu_rows_backward(rows, product, slope, dh, stride, dbias);                                                     \
  }                                                                                                                  \
  template <>                                                                                                        \
  PATHLINE_EVERY_ISA void write_rows(Rows rows, const float* product, const E* bias, E* out, std::int64_t stride,    \
                                     float* sums) {                                                                  \
    write(rows, product, bias, out, stride, sums);                                                                   \
  }                                                                                                                  \
  template <>                                                                                                        \
  PATHLINE_EVERY_ISA void sum_rows(Rows rows, const float* in, std::int64_t stride, E* out) {                        \
    add_rows(rows, in, stride, out);                                                                                 \
  }
PATHLINE_KERNELS(float)
PATHLINE_KERNELS(BFloat16)

#define PATHLINE_TWO_TYPES(E, G)                                                                                  \
  template <>                                                                                                     \
  PATHLINE_EVERY_ISA void modulated_norm_backward(Rows rows, const G* d, const E* x, const E* scale,              \
                                                  const float* mean, const float* rstd, const E* residual, E* dx, \
                                                  float* dshift, float* dscale) {                                 \
    norm_backward(rows, d, x, scale, mean, rstd, residual, dx, dshift, dscale);                                   \
  }
PATHLINE_TWO_TYPES(float, float)
PATHLINE_TWO_TYPES(BFloat16, float)
PATHLINE_TWO_TYPES(BFloat16, BFloat16)

}  // namespace pathline::model

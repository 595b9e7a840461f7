// SPDX-License-Identifier: Apache-2.0
#include "model/fused_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)
#define PATHLINE_EVERY_ISA __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define PATHLINE_EVERY_ISA  // the same loops in the compiler's own instruction set
#endif

namespace pathline::model {
namespace {

constexpr std::int64_t kLanes = 16;
constexpr double kEpsilon = 1e-6;

/// 16 numbers that the compiler keeps in one, two or four registers.
typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));

#define PATHLINE_INLINE inline __attribute__((always_inline))

PATHLINE_INLINE void load(Lanes& lanes, const float* from) { std::memcpy(&lanes, from, sizeof lanes); }
PATHLINE_INLINE void store(const Lanes& lanes, float* to) { std::memcpy(to, &lanes, sizeof lanes); }

/// The 16 running sums as one, in pairs.
PATHLINE_INLINE float total(const Lanes& lanes) {
  float sums[kLanes];
  store(lanes, sums);
  for (std::int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::int64_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
}

/// Mean and 1 / standard deviation of a row, in two passes.
PATHLINE_INLINE void moments(const float* x, std::int64_t width, float& mean, float& rstd) {
  const std::int64_t body = width - width % kLanes;
  Lanes sums = {}, v;
  for (std::int64_t i = 0; i < body; i += kLanes) {
    load(v, x + i);
    sums += v;
  }
  float sum = total(sums);
  for (std::int64_t i = body; i < width; ++i) sum += x[i];
  mean = sum / static_cast<float>(width);
  sums = Lanes{};
  for (std::int64_t i = 0; i < body; i += kLanes) {
    load(v, x + i);
    v -= mean;
    sums += v * v;
  }
  sum = total(sums);
  for (std::int64_t i = body; i < width; ++i) sum += (x[i] - mean) * (x[i] - mean);
  rstd = static_cast<float>(1.0 / std::sqrt(static_cast<double>(sum) / static_cast<double>(width) + kEpsilon));
}

}  // namespace

PATHLINE_EVERY_ISA
void modulated_norm_forward(SampleSize size, const float* x, const float* shift, const float* scale, float* out,
                            float* mean, float* rstd) {
  const std::int64_t width = size.width, body = width - width % kLanes;
  for (std::int64_t token = 0; token < size.tokens; ++token, x += width, out += width) {
    float m, r;
    moments(x, width, m, r);
    mean[token] = m;
    rstd[token] = r;
    Lanes v, s, b;
    for (std::int64_t i = 0; i < body; i += kLanes) {
      load(v, x + i);
      load(s, scale + i);
      load(b, shift + i);
      store((v - m) * r * (s + 1.0f) + b, out + i);
    }
    for (std::int64_t i = body; i < width; ++i) out[i] = (x[i] - m) * r * (scale[i] + 1.0f) + shift[i];
  }
}

// With n = (x - mean) rstd and g = d (1 + scale):
// dx = rstd (g - avg(g) - n avg(g n)), dshift = sum d, dscale = sum d n.
PATHLINE_EVERY_ISA
void modulated_norm_backward(SampleSize size, const float* d, const float* x, const float* scale, const float* mean,
                             const float* rstd, float* dx, float* dshift, float* dscale) {
  const std::int64_t width = size.width, body = width - width % kLanes;
  std::fill_n(dshift, width, 0.0f);
  std::fill_n(dscale, width, 0.0f);
  for (std::int64_t token = 0; token < size.tokens; ++token, d += width, x += width, dx += width) {
    const float m = mean[token], r = rstd[token];
    Lanes sum_g = {}, sum_gn = {}, v, s, n, g, t;
    for (std::int64_t i = 0; i < body; i += kLanes) {
      load(v, d + i);
      load(n, x + i);
      load(s, scale + i);
      n = (n - m) * r;
      g = v * (s + 1.0f);
      sum_g += g;
      sum_gn += g * n;
      load(t, dshift + i);
      store(t + v, dshift + i);
      load(t, dscale + i);
      store(t + v * n, dscale + i);
    }
    float average_g = total(sum_g), average_gn = total(sum_gn);
    for (std::int64_t i = body; i < width; ++i) {
      const float normed = (x[i] - m) * r, slope = d[i] * (scale[i] + 1.0f);
      average_g += slope;
      average_gn += slope * normed;
      dshift[i] += d[i];
      dscale[i] += d[i] * normed;
    }
    average_g /= static_cast<float>(width);
    average_gn /= static_cast<float>(width);
    for (std::int64_t i = 0; i < body; i += kLanes) {
      load(v, d + i);
      load(n, x + i);
      load(s, scale + i);
      n = (n - m) * r;
      store((v * (s + 1.0f) - average_g - n * average_gn) * r, dx + i);
    }
    for (std::int64_t i = body; i < width; ++i) {
      dx[i] = (d[i] * (scale[i] + 1.0f) - average_g - (x[i] - m) * r * average_gn) * r;
    }
  }
}

PATHLINE_EVERY_ISA
void gated_residual_forward(SampleSize size, const float* x, const float* gate, const float* y, float* out) {
  const std::int64_t width = size.width, body = width - width % kLanes;
  for (std::int64_t token = 0; token < size.tokens; ++token, x += width, y += width, out += width) {
    Lanes a, g, b;
    for (std::int64_t i = 0; i < body; i += kLanes) {
      load(a, x + i);
      load(g, gate + i);
      load(b, y + i);
      store(a + g * b, out + i);
    }
    for (std::int64_t i = body; i < width; ++i) out[i] = x[i] + gate[i] * y[i];
  }
}

PATHLINE_EVERY_ISA
void gated_residual_backward(SampleSize size, const float* d, const float* gate, const float* y, float* dgate,
                             float* dy) {
  const std::int64_t width = size.width, body = width - width % kLanes;
  std::fill_n(dgate, width, 0.0f);
  for (std::int64_t token = 0; token < size.tokens; ++token, d += width, y += width, dy += width) {
    Lanes v, g, b, t;
    for (std::int64_t i = 0; i < body; i += kLanes) {
      load(v, d + i);
      load(g, gate + i);
      load(b, y + i);
      load(t, dgate + i);
      store(t + v * b, dgate + i);
      store(v * g, dy + i);
    }
    for (std::int64_t i = body; i < width; ++i) {
      dgate[i] += d[i] * y[i];
      dy[i] = d[i] * gate[i];
    }
  }
}

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
#include "model/norm_silu_kernels.h"

#include <cmath>

#include "model/lanes.h"

namespace pathline::model {
namespace {

using c10::BFloat16;
constexpr double kEpsilon = 1e-5;

PATHLINE_INLINE float added_to(const ChannelTerms& terms, std::int64_t row) {
  return terms.added == nullptr ? 0.0f : terms.added[row];
}

/// The lanes of one channel add up to a number, these in double in order: a group may have 100,000 places.
template <class E>
PATHLINE_INLINE void moments(Rows rows, const E* x, const ChannelTerms& terms, float& mean, float& rstd) {
  const double places = static_cast<double>(rows.count * rows.width);
  double sum = 0.0, squares = 0.0;
  for (std::int64_t row = 0; row < rows.count; ++row) {
    const float a = added_to(terms, row);
    Lanes sums = {};
    each_lanes(rows.width, PATHLINE_BODY {
      Lanes v;
      load(v, x + row * rows.width + i, n, -a);
      sums += v + a;
    });
    sum += static_cast<double>(total(sums));
  }
  const float m = static_cast<float>(sum / places);
  for (std::int64_t row = 0; row < rows.count; ++row) {
    const float centre = m - added_to(terms, row);
    Lanes sums = {};
    each_lanes(rows.width, PATHLINE_BODY {
      Lanes v;
      load(v, x + row * rows.width + i, n, centre);
      v -= centre;
      sums += v * v;
    });
    squares += static_cast<double>(total(sums));
  }
  mean = m;
  rstd = static_cast<float>(1.0 / std::sqrt(squares / places + kEpsilon));
}

PATHLINE_INLINE void sigmoid(const Lanes& h, Lanes& s) {
  exponential(-h, s);
  s = 1.0f / (s + 1.0f);
}

template <class E>
PATHLINE_INLINE void forward(Rows rows, const E* x, const ChannelTerms& terms, E* out, float* mean, float* rstd) {
  float m, r;
  moments(rows, x, terms, m, r);
  *mean = m;
  *rstd = r;
  for (std::int64_t row = 0; row < rows.count; ++row, x += rows.width, out += rows.width) {
    const float slope = r * terms.gain[row];
    const float start = terms.shift[row] - (m - added_to(terms, row)) * slope;
    each_lanes(rows.width, PATHLINE_BODY {
      Lanes h, s;
      load(h, x + i, n);
      h = h * slope + start;
      sigmoid(h, s);
      store(h * s, out + i, n);
    });
  }
}

// With n = (x + added - mean) rstd, h = n gain + shift, g = d silu'(h), silu'(h) = s (1 + h (1 - s)):
// dshift = sum g, dgain = sum g n, dx = rstd (g gain - avg(g gain) - n avg(g gain n)), dadded = sum dx.
template <class E>
PATHLINE_INLINE void backward(Rows rows, const E* d, const E* x, const ChannelTerms& terms, float mean, float rstd,
                              float* scratch, E* dx, const ChannelGradients& sums) {
  const std::int64_t width = rows.width;
  double sum_g = 0.0, sum_gn = 0.0;
  for (std::int64_t row = 0; row < rows.count; ++row) {
    const float gain = terms.gain[row], shift = terms.shift[row], centre = mean - added_to(terms, row);
    Lanes of_g = {}, of_gn = {};
    each_lanes(width, PATHLINE_BODY {
      Lanes g, normed, s;
      load(g, d + row * width + i, n);
      load(normed, x + row * width + i, n, centre);
      normed = (normed - centre) * rstd;
      const Lanes h = normed * gain + shift;
      sigmoid(h, s);
      g *= s * (h * (1.0f - s) + 1.0f);
      store(g, scratch + row * width + i, n);
      of_g += g;
      of_gn += g * normed;
    });
    sums.shift[row] = total(of_g);
    sums.gain[row] = total(of_gn);
    sum_g += static_cast<double>(sums.shift[row]) * static_cast<double>(gain);
    sum_gn += static_cast<double>(sums.gain[row]) * static_cast<double>(gain);
  }
  const double places = static_cast<double>(rows.count * width);
  const float average_g = static_cast<float>(sum_g / places), average_gn = static_cast<float>(sum_gn / places);
  for (std::int64_t row = 0; row < rows.count; ++row) {
    const float gain = terms.gain[row], centre = mean - added_to(terms, row);
    Lanes of_dx = {};
    each_lanes(width, PATHLINE_BODY {
      Lanes g, normed;
      load(g, scratch + row * width + i, n);
      load(normed, x + row * width + i, n);
      normed = (normed - centre) * rstd;
      const Lanes v = (g * gain - average_g - normed * average_gn) * rstd;
      store(v, dx + row * width + i, n);
      if (n == kLanes) {
        of_dx += v;
      } else {
        for (std::int64_t j = 0; j < n; ++j) of_dx[j] += v[j];
      }
    });
    if (sums.added != nullptr) sums.added[row] = total(of_dx);
  }
}

}  // namespace

// Both element types; a template cannot have copies for every instruction set, its specialisations can.
#define PATHLINE_KERNELS(E)                                                                                            \
  template <>                                                                                                          \
  PATHLINE_EVERY_ISA void norm_silu_forward(Rows rows, const E* x, const ChannelTerms& terms, E* out, float* mean,     \
                                            float* rstd) {                                                             \
    forward(rows, x, terms, out, mean, rstd);                                                                          \
  }                                                                                                                    \
  template <>                                                                                                          \
  PATHLINE_EVERY_ISA void norm_silu_backward(Rows rows, const E* d, const E* x, const ChannelTerms& terms, float mean, \
                                             float rstd, float* scratch, E* dx, const ChannelGradients& sums) {        \
    backward(rows, d, x, terms, mean, rstd, scratch, dx, sums);                                                        \
  }
PATHLINE_KERNELS(float)
PATHLINE_KERNELS(BFloat16)

}  // namespace pathline::model

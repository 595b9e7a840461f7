// SPDX-License-Identifier: Apache-2.0
// The path x_t = a(t) x1 + s(t) x0 at a time, and what follows from it: from a velocity to the data, the noise and the
// score that it implies, and back. Formulas: Ma et al., "SiT" (arXiv 2401.08740), section 2.
#pragma once

#include <cmath>

namespace pathline::flow {

struct PathPoint {
  double a = 0, s = 1;     // shares of data and noise
  double da = 1, ds = -1;  // their derivatives in t

  double determinant() const { return da * s - a * ds; }
  double log_snr_half() const { return std::log(a / s); }  // -inf at the noise, +inf at the data
};

/// a = t, s = 1 - t.
inline PathPoint linear_point(double t) { return {t, 1.0 - t, 1.0, -1.0}; }

/// Weights of a state x and a velocity v: weight_x x + weight_v v.
struct OfState {
  double x = 0, v = 0;
};

/// The data x1 that v points to.
inline OfState data_of(const PathPoint& p) { return {-p.ds / p.determinant(), p.s / p.determinant()}; }

/// The noise x0 that v comes from.
inline OfState noise_of(const PathPoint& p) { return {p.da / p.determinant(), -p.a / p.determinant()}; }

/// The score, gradient of log p_t: - x0 / s. Not defined where s = 0.
inline OfState score_of(const PathPoint& p) {
  const OfState noise = noise_of(p);
  return {-noise.x / p.s, -noise.v / p.s};
}

}  // namespace pathline::flow

// SPDX-License-Identifier: Apache-2.0
// Paths between noise x0 (t = 0) and data x1 (t = 1): x_t = a(t) x1 + s(t) x0. The noise level s / a falls all the way.
#pragma once

#include <functional>
#include <string>

#include "flow/path_point.h"

namespace pathline::flow {

class Path {
 public:
  /// Throws ExitCode::kUsage for what is none of these, kInput for a table that cannot be used.
  ///   linear             t, 1 - t (Lipman et al., arXiv 2210.02747; Liu et al., arXiv 2209.03003)
  ///   linear:S           t, 1 - (1 - S) t: the conditional path of Lipman et al. that ends with deviation S
  ///   icfm:S             t, 1 - t, and normal noise of deviation S beside it (Tong et al., arXiv 2302.00482)
  ///   polynomial:N       t^N, 1 - t^N
  ///   cosine             sin(pi t / 2), cos(pi t / 2)
  ///   linear-vp          t, sqrt(1 - t^2)
  ///   vp, vp:B,C         exp(-T / 2), sqrt(1 - exp(-T)), T = (1 - t)^2 (C - B) / 2 + (1 - t) B, B = 0.1, C = 20
  ///                      (Song et al., arXiv 2011.13456)
  ///   ou:T               exp(-T (1 - t)), sqrt(1 - a^2): dX = -X dt + sqrt(2) dW over a time T
  ///   ve:B,C             1, B (C / B)^(1 - t) (Song et al.)
  ///   table:FILE         lines "t a s" from t = 0 to t = 1, between them monotone cubics (Fritsch, Butland 1984)
  ///   table:T A S; ...   the same in place
  static Path parse(const std::string& text);

  /// t in [0, 1].
  PathPoint at(double t) const { return at_(t); }
  /// The time at which a / s is `ratio`; the nearer end where it lies outside the path.
  double time_of(double ratio) const;
  /// Deviation of the noise beside the path.
  double jitter() const { return jitter_; }
  /// Deviation of all noise in x_t, where x0 is normal.
  double noise_at(double t) const;
  /// The score's factor in the velocity v = (a'/a) x + factor score: (a'/a) (s^2 + jitter^2) - s s'. Not finite where a
  /// is 0 or s' is not.
  double score_factor(double t) const;
  /// The same text for the same path: defaults written out, the lines of a table in place of its file.
  const std::string& text() const { return text_; }

  /// Is s(1) = 0: does it end on data alone?
  bool ends_on_data() const { return at_(1).s == 0; }

 private:
  std::string text_;
  std::function<PathPoint(double)> at_;
  double jitter_ = 0;
};

}  // namespace pathline::flow

// SPDX-License-Identifier: Apache-2.0
// How much noise an SDE sampler adds and takes away: D(t) in dX = [v + D score] dt + sqrt(2 D) dW. Every D >= 0 keeps
// the marginals of the flow. The choices are SiT's (Ma et al., arXiv 2401.08740).
#pragma once

#include <string>

#include "flow/path_point.h"

namespace pathline::sampler {

class Diffusion {
 public:
  /// NAME or NAME:c (c = 1): constant c | sbdm c ((a'/a) s^2 - s s') | sigma c s | linear c (1 - t) |
  /// decreasing (c cos(pi t) + 1)^2 / 4 | inc-dec c sin^2(pi t). Throws ExitCode::kUsage.
  static Diffusion parse(const std::string& text);

  /// At time t, point `p` of the path.
  double operator()(double t, const flow::PathPoint& p) const;
  /// The first time at which it may be used: sbdm grows without bound towards t = 0.
  double first_time() const { return kind_ == Kind::kSbdm ? 1e-3 : 0.0; }

 private:
  enum class Kind { kConstant, kSbdm, kSigma, kLinear, kDecreasing, kIncDec };
  Kind kind_ = Kind::kSigma;
  double c_ = 1;
};

}  // namespace pathline::sampler

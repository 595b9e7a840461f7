// SPDX-License-Identifier: Apache-2.0
// Laws of the time t in training, t = 0 noise and t = 1 data.
#pragma once

#include <string>

#include "core/random.h"

namespace pathline::flow {

class TimeLaw {
 public:
  /// "uniform" or "logit-normal:m,s" (t = sigmoid(m + s N(0, 1)); Stable Diffusion 3's m is our -m, its time runs
  /// backwards). Throws ExitCode::kUsage.
  static TimeLaw parse(const std::string& text);

  /// t in [0, 1) out of the first places of `draws`.
  float operator()(const core::Draws& draws) const;

 private:
  enum class Kind { kUniform, kLogitNormal };
  Kind kind_ = Kind::kUniform;
  double mean_ = 0.0, deviation_ = 1.0;
};

}  // namespace pathline::flow

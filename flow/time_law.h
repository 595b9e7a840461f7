// SPDX-License-Identifier: Apache-2.0
// Laws of the time t in training, t = 0 noise and t = 1 data.
#pragma once

#include <functional>
#include <string>

#include "core/random.h"
#include "flow/path.h"

namespace pathline::flow {

class TimeLaw {
 public:
  /// Throws ExitCode::kUsage for what is none of these.
  ///   uniform
  ///   logit-normal:m,s   t = sigmoid(m + s N(0, 1)) (Esser et al., arXiv 2403.03206; their time runs backwards: its m
  ///                      is our -m)
  ///   mode:k             1 - t = 1 - u - k (cos^2(pi u / 2) - 1 + u) (the same), k in [-1, 2 / (pi - 2)]
  ///   cosmap             t = 1 - 1 / (tan(pi u / 2) + 1), density 2 / (pi - 2 pi t + 2 pi t^2) (the same)
  ///   edm:m,s            noise levels s / a of `path` with ln N(m, s^2) (Karras et al., arXiv 2206.00364)
  static TimeLaw parse(const std::string& text, const Path& path = Path::parse("linear"));

  /// t in [0, 1) out of the first places of `draws`.
  float operator()(const core::Draws& draws) const { return law_(draws); }

 private:
  std::function<float(const core::Draws&)> law_ = [](const core::Draws& draws) { return draws.uniform(0); };
};

}  // namespace pathline::flow

// SPDX-License-Identifier: Apache-2.0
// Dense output: the states of one sample at times that were asked for, taken while its method passes them. Nothing is
// evaluated for it, and nothing of the sample depends on it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sampler/row_math.h"
#include "sampler/solver_options.h"

namespace pathline::sampler {

/// Weights of y and y' at the share `theta` of the step between them.
std::array<double, 2> linear_weights(double theta);

/// Of y, y' and the slope at y, for a step of length h: error O(h^3).
std::array<double, 3> quadratic_weights(double theta, double h);

/// Of y, y', the slope at y and the slope at y', cubic Hermite: error O(h^4). (Hairer, Norsett, Wanner I, II.6.)
std::array<double, 4> hermite_weights(double theta, double h);

/// State is float or double. A time at which a step ends gets that state itself.
template <class State>
class Trajectory {
 public:
  /// At options.trajectories, of rows of `elements`. Where there are none nothing is kept and nothing is computed.
  Trajectory(const SolverOptions& options, std::size_t elements)
      : times_(options.trajectories),
        direction_(options.t1 < options.t0 ? -1 : 1),
        elements_(elements),
        states_(times_.size() * elements) {}

  /// A sample begins.
  void start() { passed_ = 0; }

  /// Does a time that has not been passed lie before `end`?
  bool passes(double end) const { return passed_ < times_.size() && direction_ * times_[passed_] < direction_ * end; }

  /// Times before `end` get sum_i weights_i rows_i, weights_at(theta) for the share theta of the step [from, end].
  template <class WeightsAt>
  void pass(double from, double end, const State* const* rows, const WeightsAt& weights_at) {
    while (passes(end)) {
      const auto weights = weights_at((times_[passed_] - from) / (end - from));
      combine_rows<State>(weights, rows, elements_, next());
    }
  }

  /// Times before `end` get `y`.
  void hold(double end, std::span<const State> y) {
    while (passes(end)) std::ranges::copy(y, next());
  }

  /// The sample is done: all further times get its end.
  void finish(std::span<const State> y) {
    while (passed_ < times_.size()) std::ranges::copy(y, next());
  }

  /// (times, elements), complete once the sample is done.
  std::span<const State> states() const { return states_; }

 private:
  State* next() { return states_.data() + elements_ * passed_++; }

  const std::vector<double> times_;
  const double direction_;
  const std::size_t elements_;
  std::vector<State> states_;
  std::size_t passed_ = 0;
};

/// `count` times from 0 to 1, both included.
std::vector<double> even_times(std::int64_t count);

/// "0,0.25,1", or a number K from 2 to 1000 for K even times from 0 to 1. Throws ExitCode::kUsage.
std::vector<double> parse_trajectories(const std::string& text);

}  // namespace pathline::sampler

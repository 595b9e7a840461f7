// SPDX-License-Identifier: Apache-2.0
// One sample by a method with memory and given steps; one evaluation a step. State is float or double.
#pragma once

#include <memory>
#include <vector>

#include "flow/path.h"
#include "sampler/slot_method.h"
#include "sampler/time_grid.h"
#include "sampler/trajectory.h"

namespace pathline::sampler {

/// Dense output of a path: linear between the states at the ends of steps, or, where it is not smooth, the one reached
/// last.
enum class Between { kLinear, kHeld };

/// What methods with given steps share: the state, the time, and memory that ends where guidance begins or ends.
template <class State>
class GivenSteps : public SlotMethod<State> {
 public:
  GivenSteps(std::shared_ptr<const Timeline> line, std::int64_t elements, const SolverOptions& options,
             Between between = Between::kLinear);
  void start(std::int64_t id, std::span<const State> x) override;
  /// The state as it is, where the step begins.
  Evaluation plan(std::span<State> input) override;
  std::span<const State> state() const override { return y_; }
  std::span<const State> trajectory() const override { return trajectory_.states(); }

 protected:
  double from() const { return line_->times[step_]; }
  double to() const { return line_->times[step_ + 1]; }
  bool guided() const { return line_->guided[step_]; }
  /// The slope or prediction of the step before may be used.
  bool remembers() const { return step_ > 0 && line_->guided[step_ - 1] == line_->guided[step_]; }
  double length_before() const { return line_->times[step_] - line_->times[step_ - 1]; }
  /// The step's result is in y.
  Outcome next(bool finite);

  const std::shared_ptr<const Timeline> line_;
  std::vector<State> y_;
  std::size_t step_ = 0;

 private:
  void begin_step();

  const Between between_;
  Trajectory<State> trajectory_;
  std::vector<State> begin_;  // the state where a step began that passes a time of the trajectory
};

/// Adams-Bashforth of order 2 with variable steps (Hairer, Norsett, Wanner I, III.5): with w = h_n / h_{n-1},
/// y' = y + h ((1 + w/2) v_n - w/2 v_{n-1}). It starts with a step of Heun's method, which costs one evaluation more.
template <class State>
class AdamsBashforth2 final : public GivenSteps<State> {
 public:
  AdamsBashforth2(std::shared_ptr<const Timeline> line, std::int64_t elements, const SolverOptions& options);
  void start(std::int64_t id, std::span<const State> x) override;
  Evaluation plan(std::span<State> input) override;
  Outcome absorb(std::span<const State> value) override;

 private:
  std::vector<State> slope_, slope_before_;
  bool second_of_heun_ = false;
};

/// DPM-Solver++(2M) (Lu et al., arXiv 2211.01095, Algorithm 2) on a path, with the data that a velocity points to as
/// prediction. The first step, and the last where it ends on the data, are of first order.
template <class State>
class DpmSolver2M final : public GivenSteps<State> {
 public:
  DpmSolver2M(std::shared_ptr<const Timeline> line, std::int64_t elements, const SolverOptions& options);
  Outcome absorb(std::span<const State> value) override;

 private:
  const flow::Path path_;
  std::vector<State> data_, data_before_;
};

/// DDIM (Song et al., arXiv 2010.02502) on a path, deterministic: the data and the noise that a velocity implies, put
/// together for the next time. On the linear path that is Euler's method.
template <class State>
class FlowDdim final : public GivenSteps<State> {
 public:
  FlowDdim(std::shared_ptr<const Timeline> line, std::int64_t elements, const SolverOptions& options)
      : GivenSteps<State>(std::move(line), elements, options), path_(flow::Path::parse(options.path)) {}
  Outcome absorb(std::span<const State> value) override;

 private:
  const flow::Path path_;
};

}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
// One sample by an explicit Runge-Kutta method, with given steps or with steps chosen by its error.
#pragma once

#include <memory>
#include <vector>

#include "sampler/slot_method.h"
#include "sampler/step_control.h"
#include "sampler/tableau.h"
#include "sampler/time_grid.h"
#include "sampler/trajectory.h"

namespace pathline::sampler {

/// Dense output: tableaux whose last slope is that of the new state interpolate a step when it is accepted
/// (dense_weights). The others take the cubic Hermite polynomial as soon as the next step's first slope is there; after
/// the last step, and where guidance begins or ends, there is none of the same field, and that step takes the quadratic
/// one.
template <class State>
class RungeKutta final : public SlotMethod<State> {
 public:
  /// Adaptive tableaux choose their steps within every segment of `line` and land on its end; the others take one step
  /// a segment. `tableau` outlives the method.
  RungeKutta(const Tableau& tableau, std::shared_ptr<const Timeline> line, const SolverOptions& options,
             std::int64_t elements);

  void start(std::int64_t id, std::span<const State> x) override;
  Evaluation plan(std::span<State> input) override;
  Outcome absorb(std::span<const State> value) override;
  std::span<const State> state() const override { return y_; }
  std::int64_t rejected_steps() const override { return rejected_; }
  std::int64_t noise_floor_steps() const override { return floor_steps_; }
  std::span<const State> trajectory() const override { return trajectory_.states(); }

 private:
  enum class Phase { kFirstSlope, kProbe, kStage };

  Outcome plan_probe();
  Outcome plan_first_step();
  Outcome begin_step();
  Outcome finish_step();
  Outcome accept(double ratio);
  Outcome reject(double ratio);
  void enter_next_segment();
  void pass_step();
  void pass_step_before(const State* slope);
  double error_ratio() const;
  double norm(const State* values) const;
  /// The last step may be one of Euler's.
  bool euler_step() const { return last_euler_ && segment_ + 1 == line_->segments(); }
  int stages_of_step() const { return euler_step() ? 1 : tableau_.stages(); }

  const Tableau& tableau_;
  const std::shared_ptr<const Timeline> line_;
  const SolverOptions options_;
  const Controller controller_;
  const bool fsal_, last_euler_;

  std::vector<State> y_, y_new_;
  std::vector<std::vector<State>> k_;  // a slope a stage
  std::vector<const State*> k_rows_;   // where they lie

  Phase phase_ = Phase::kStage;
  std::size_t segment_ = 0;
  int stage_ = 0;             // the slope that the next evaluation gives
  double t_ = 0, t_end_ = 0;  // the step under way
  double dt_ = 0;             // its length; the probe's while the first step is being chosen
  double wish_ = 0;           // the length wanted before the step was cut to land
  double slope_norm_ = 0;     // d1 of the first step's rule
  ErrorHistory history_;
  NoiseFloor floor_;
  Trajectory<State> trajectory_;
  double t_before_ = 0;            // where the step before began
  bool slope_is_awaited_ = false;  // by dense output of that step
  std::int64_t tried_ = 0, rejected_ = 0, floor_steps_ = 0;
};

extern template class RungeKutta<float>;
extern template class RungeKutta<double>;

}  // namespace pathline::sampler

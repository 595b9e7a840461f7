// SPDX-License-Identifier: Apache-2.0
// The seam between the slot engine and solvers: a method takes one sample from its start to its end by saying where the
// field is evaluated next and by taking what it gave there. Every slot has one of its own, with its own registers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "sampler/solver_options.h"

namespace pathline::sampler {

/// Where the field is asked next, beside the state.
struct Evaluation {
  double t = 0;
  bool guided = true;  // inside the interval of guidance
};

enum class Outcome : std::uint8_t {
  kRunning,
  kDone,
  kNotFinite,     // a slope or a state is not finite
  kStepTooShort,  // the tolerance lies below what the field's arithmetic resolves
  kTooManySteps
};

inline bool failed(Outcome outcome) { return outcome != Outcome::kRunning && outcome != Outcome::kDone; }

/// A step that was tried.
struct TriedStep {
  double t = 0, dt = 0;               // it went from t to t + dt
  std::optional<double> error_ratio;  // error / tolerance; none where steps are given
  bool accepted = true;
};
using StepWatch = std::function<void(const TriedStep&)>;
/// The same of one sample of many, with its evaluations so far.
using SampleWatch = std::function<void(std::int64_t id, const TriedStep& step, std::int64_t nfe)>;

/// Not thread-safe; different methods may be used from different threads at once.
template <class State>
class SlotMethod {
 public:
  virtual ~SlotMethod() = default;
  /// A sample begins at x, which is copied. Forgets the one before.
  virtual void start(std::int64_t id, std::span<const State> x) = 0;
  /// Writes the state of the next evaluation.
  virtual Evaluation plan(std::span<State> input) = 0;
  /// Takes what the field gave there: as many elements as the state has, twice as many where a network predicts its
  /// variance, too.
  virtual Outcome absorb(std::span<const State> value) = 0;
  /// The sample, once it is done.
  virtual std::span<const State> state() const = 0;
  virtual std::int64_t rejected_steps() const { return 0; }
  /// Steps accepted although their error was above the tolerance, because it does not fall with the step.
  virtual std::int64_t noise_floor_steps() const { return 0; }
  /// The states at the times of SolverOptions::trajectories, one after the other, once the sample is done.
  virtual std::span<const State> trajectory() const { return {}; }

  /// `watch` is told every step from here on, inside absorb(), on the thread that calls that.
  virtual void watch(StepWatch watch) { watch_ = std::move(watch); }

 protected:
  void tell(const TriedStep& step) const {
    if (watch_) watch_(step);
  }

 private:
  StepWatch watch_;
};

/// Standard normal numbers for draw 0, 1, ... of a sample. Called from several threads.
using StepNoise = std::function<void(std::int64_t id, std::int64_t draw, std::span<float> out)>;

/// Keyed by (seed, id, draw).
StepNoise step_noise(std::uint64_t seed);

template <class State>
using MethodMaker = std::function<std::unique_ptr<SlotMethod<State>>()>;

/// Makers of the method that `options` describe, for rows of `elements`. State is float or double. `noise` may be empty
/// where the solver is not stochastic. Throws ExitCode::kUsage for options that describe no method.
template <class State>
MethodMaker<State> method_maker(const SolverOptions& options, std::int64_t elements, const StepNoise& noise);

}  // namespace pathline::sampler

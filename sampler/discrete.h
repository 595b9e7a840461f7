// SPDX-License-Identifier: Apache-2.0
// One sample from a network that predicts noise at discrete times: ancestral sampling (DDPM) and DDIM, as
// guided-diffusion does them. State is float or double.
#pragma once

#include <memory>
#include <vector>

#include "sampler/noise_schedule.h"
#include "sampler/slot_method.h"
#include "sampler/trajectory.h"

namespace pathline::sampler {

/// The steps, and whether each lies in the interval of guidance.
struct ReversePlan {
  std::vector<ReverseStep> steps;
  std::vector<double> times;  // of flow, where each begins, and 1
  std::vector<char> guided;
};

/// Of `options`; the flow time of a kept time i of T is taken as 1 - (i + 1) / T.
ReversePlan reverse_plan(const SolverOptions& options);

/// Dense output is the state that was reached last.
template <class State>
class DiscreteReverse final : public SlotMethod<State> {
 public:
  /// `ancestral`: DDPM, else DDIM with options.eta. `noise` may be empty for DDIM with eta 0.
  DiscreteReverse(std::shared_ptr<const ReversePlan> plan, std::int64_t elements, const SolverOptions& options,
                  bool ancestral, StepNoise noise);

  void start(std::int64_t id, std::span<const State> x) override;
  Evaluation plan(std::span<State> input) override;
  /// `value`: the noise, and with learned-range the network's v for the variance behind it.
  Outcome absorb(std::span<const State> value) override;
  std::span<const State> state() const override { return y_; }
  std::span<const State> trajectory() const override { return trajectory_.states(); }

 private:
  enum class Variance { kSmall, kLarge, kLearned };

  /// Deviation of the noise that DDPM adds to element i.
  double deviation(const ReverseStep& step, std::span<const State> value, std::size_t i) const;

  const std::shared_ptr<const ReversePlan> plan_;
  const Variance variance_;
  const double eta_;
  const bool clip_, ancestral_;
  const StepNoise noise_;
  std::vector<State> y_;
  std::vector<float> draws_;
  std::int64_t id_ = 0;
  std::size_t step_ = 0;
  Trajectory<State> trajectory_;
};

}  // namespace pathline::sampler

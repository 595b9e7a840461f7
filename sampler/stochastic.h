// SPDX-License-Identifier: Apache-2.0
// One sample by an SDE solver on dX = [v + D score] dt + sqrt(2 D) dW along a path (Ma et al., "SiT", arXiv
// 2401.08740), noise keyed by the sample's id and the number of the draw. State is float or double.
#pragma once

#include <memory>
#include <vector>

#include "flow/path.h"
#include "sampler/diffusion.h"
#include "sampler/multistep.h"
#include "sampler/slot_method.h"

namespace pathline::sampler {

/// Steps with noise, then one without that ends on the data, where the score is singular: the last segment of the
/// timeline, unless last_step is none.
template <class State>
class Stochastic : public GivenSteps<State> {
 public:
  Stochastic(std::shared_ptr<const Timeline> line, std::int64_t elements, const SolverOptions& options,
             StepNoise noise);
  void start(std::int64_t id, std::span<const State> x) override;
  Evaluation plan(std::span<State> input) final;
  Outcome absorb(std::span<const State> value) final;

 protected:
  /// Of a step that is not the last.
  virtual Evaluation plan_step(std::span<State> input);
  virtual Outcome absorb_step(std::span<const State> value) = 0;

  double diffusion_at(double t) const { return diffusion_(t, path_.at(t)); }
  /// Weights of x and v in v + d score.
  flow::OfState drift(double t, double d) const;
  /// The sample's k-th noise, where d and h are not 0.
  const State* draw(std::int64_t k);
  const flow::Path& path() const { return path_; }
  bool last_step() const { return ends_on_data_ && this->step_ + 1 == this->line_->segments(); }

 private:
  Outcome absorb_last(std::span<const State> value);

  const flow::Path path_;
  const Diffusion diffusion_;
  const std::string last_;
  const bool ends_on_data_;
  const StepNoise noise_;
  std::int64_t id_ = 0;
  std::vector<float> draws_;
  std::vector<State> noise_row_;
};

/// Euler-Maruyama.
template <class State>
class EulerMaruyama final : public Stochastic<State> {
 public:
  using Stochastic<State>::Stochastic;

 private:
  Outcome absorb_step(std::span<const State> value) override;
};

/// SiT's stochastic Heun: the noise first, then Heun's method on the drift from there. Weak order 2 in the mean, 1 in
/// the variance where D moves.
template <class State>
class StochasticHeun final : public Stochastic<State> {
 public:
  using Stochastic<State>::Stochastic;
  void start(std::int64_t id, std::span<const State> x) override;

 private:
  Evaluation plan_step(std::span<State> input) override;
  Outcome absorb_step(std::span<const State> value) override;

  bool second_ = false;
  std::vector<State> slope_, predicted_;
};

/// Predictor-corrector (Song et al., arXiv 2011.13456, Algorithm 1): after every Euler-Maruyama step one step of
/// Langevin dynamics at the time reached, x' = x + e score + sqrt(2 e) z with e = 2 (snr s(t))^2. That is the paper's
/// rule with the norms of noise and score at their expected ratio s(t): a step length that does not look at the sample
/// keeps the marginals also in few dimensions. No noise in the first step and in the last.
template <class State>
class PredictorCorrector final : public Stochastic<State> {
 public:
  PredictorCorrector(std::shared_ptr<const Timeline> line, std::int64_t elements, const SolverOptions& options,
                     StepNoise noise);
  void start(std::int64_t id, std::span<const State> x) override;

 private:
  Evaluation plan_step(std::span<State> input) override;
  Outcome absorb_step(std::span<const State> value) override;
  Outcome correct(std::span<const State> value);

  const double snr_;
  bool correcting_ = false;
};

/// The times of such a solver: `steps` evaluations of em, the last of them of the last step.
Timeline stochastic_timeline(const SolverOptions& options);

}  // namespace pathline::sampler

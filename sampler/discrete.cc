// SPDX-License-Identifier: Apache-2.0
#include "sampler/discrete.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/choice.h"
#include "core/error.h"

namespace pathline::sampler {
namespace {

constexpr double kTimes = 1000;

/// The mean of x_{t-1} given the data and x_t (Ho et al., Eq. 7), and DDIM's step (Song et al., Eq. 12).
struct Coefficients {
  double recip, recip_minus_1;          // data = recip x - recip_minus_1 noise
  double mean_of_data, mean_of_x;       // DDPM
  double deviation, of_data, of_noise;  // DDIM

  Coefficients(const ReverseStep& s, double eta)
      : recip(std::sqrt(1 / s.alpha_bar)),
        recip_minus_1(std::sqrt(1 / s.alpha_bar - 1)),
        mean_of_data(s.beta * std::sqrt(s.alpha_bar_before) / (1 - s.alpha_bar)),
        mean_of_x((1 - s.alpha_bar_before) * std::sqrt(1 - s.beta) / (1 - s.alpha_bar)),
        deviation(eta * std::sqrt((1 - s.alpha_bar_before) / (1 - s.alpha_bar) * s.beta)),
        of_data(std::sqrt(s.alpha_bar_before)),
        of_noise(std::sqrt(std::max(0.0, 1 - s.alpha_bar_before - deviation * deviation))) {}
};

}  // namespace

ReversePlan reverse_plan(const SolverOptions& options) {
  std::string spacing = options.respacing;
  if (spacing.empty()) spacing = std::to_string(options.steps);
  ReversePlan plan{reverse_steps(options.noise_schedule, spacing), {}, {}};
  for (const ReverseStep& step : plan.steps) {
    const double t = 1 - (step.time + 1) / kTimes;
    plan.times.push_back(t);
    plan.guided.push_back(options.guidance_from <= t && t <= options.guidance_to);
  }
  plan.times.push_back(1.0);
  return plan;
}

template <class State>
DiscreteReverse<State>::DiscreteReverse(std::shared_ptr<const ReversePlan> plan, std::int64_t elements,
                                        const SolverOptions& options, bool ancestral, StepNoise noise)
    : plan_(std::move(plan)),
      variance_(options.variance == "learned-range" ? Variance::kLearned
                : options.variance == "fixed-large" ? Variance::kLarge
                                                    : Variance::kSmall),
      eta_(options.eta),
      clip_(options.clip_denoised),
      ancestral_(ancestral),
      noise_(std::move(noise)),
      y_(static_cast<std::size_t>(elements)),
      draws_(y_.size()),
      trajectory_(options, y_.size()) {
  core::check_choice("--variance", options.variance, {"fixed-small", "fixed-large", "learned-range"});
  PL_CHECK(eta_ >= 0 && eta_ <= 1, core::ExitCode::kUsage, "--eta is ", eta_,
           "; it is a share of DDPM's noise, from 0 to 1.");
  PL_ASSERT(noise_ || (!ancestral && eta_ == 0));
}

template <class State>
void DiscreteReverse<State>::start(std::int64_t id, std::span<const State> x) {
  std::ranges::copy(x, y_.begin());
  id_ = id;
  step_ = 0;
  trajectory_.start();
  trajectory_.hold(plan_->times[1], y_);
}

template <class State>
Evaluation DiscreteReverse<State>::plan(std::span<State> input) {
  std::ranges::copy(y_, input.begin());
  return {plan_->steps[step_].time, static_cast<bool>(plan_->guided[step_])};
}

template <class State>
double DiscreteReverse<State>::deviation(const ReverseStep& step, std::span<const State> value, std::size_t i) const {
  if (variance_ == Variance::kSmall) return std::exp(0.5 * step.log_posterior_variance);
  if (variance_ == Variance::kLarge) return std::exp(0.5 * step.log_large_variance);
  const double share = (static_cast<double>(value[y_.size() + i]) + 1) / 2;
  return std::exp(0.5 * (share * std::log(step.beta) + (1 - share) * step.log_posterior_variance));
}

template <class State>
Outcome DiscreteReverse<State>::absorb(std::span<const State> value) {
  PL_CHECK(variance_ != Variance::kLearned || !ancestral_ || value.size() == 2 * y_.size(), core::ExitCode::kUsage,
           "--variance learned-range was asked of a network that predicts no variance (model.learn_sigma). Use "
           "fixed-small or fixed-large.");
  const ReverseStep& step = plan_->steps[step_];
  const Coefficients c(step, eta_);
  const bool last = step_ + 1 == plan_->steps.size();
  const bool noisy = !last && (ancestral_ || eta_ > 0);
  if (noisy) noise_(id_, static_cast<std::int64_t>(step_), draws_);
  const double fixed = variance_ == Variance::kLearned ? 0 : deviation(step, value, 0);
  bool finite = true;
  for (std::size_t i = 0; i < y_.size(); ++i) {
    const double x = y_[i];
    double data = c.recip * x - c.recip_minus_1 * value[i];
    if (clip_ && std::isfinite(data)) data = std::clamp(data, -1.0, 1.0);
    double next = 0, spread = c.deviation;
    if (ancestral_) {
      next = c.mean_of_data * data + c.mean_of_x * x;
      spread = variance_ == Variance::kLearned ? deviation(step, value, i) : fixed;
    } else {
      next = c.of_data * data + c.of_noise * (c.recip * x - data) / c.recip_minus_1;
    }
    if (noisy) next += spread * draws_[i];
    y_[i] = static_cast<State>(next);
    finite &= std::isfinite(y_[i]);
  }
  if (!finite) return Outcome::kNotFinite;
  const double from = plan_->times[step_++], to = plan_->times[step_];
  this->tell({from, to - from, std::nullopt, true});
  if (last) {
    trajectory_.finish(y_);
    return Outcome::kDone;
  }
  trajectory_.hold(plan_->times[step_ + 1], y_);
  return Outcome::kRunning;
}

template class DiscreteReverse<float>;
template class DiscreteReverse<double>;

}  // namespace pathline::sampler

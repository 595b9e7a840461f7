// SPDX-License-Identifier: Apache-2.0
#include "sampler/stochastic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "sampler/row_math.h"

namespace pathline::sampler {
namespace {

constexpr auto kUsage = core::ExitCode::kUsage;

std::string last_step_of(const SolverOptions& options) {
  return options.last_step.empty() ? "mean" : options.last_step;
}

double last_size_of(const SolverOptions& options) {
  if (options.last_step_size >= 0) return options.last_step_size;
  return last_step_of(options) == "none" ? 1e-3 : 0.04;
}

}  // namespace

Timeline stochastic_timeline(const SolverOptions& options) {
  const std::string last = last_step_of(options);
  PL_CHECK(last == "mean" || last == "tweedie" || last == "euler" || last == "none", kUsage, "--last-step ", last,
           " is not known. Use mean, tweedie, euler or none.");
  PL_CHECK(0 <= options.t0 && options.t0 < options.t1 && options.t1 == 1.0, kUsage, "solver ", options.solver,
           " runs from noise to t = 1, not from ", options.t0, " to ", options.t1,
           " (its noise belongs to that interval). Leave the times out.");
  const bool ends_on_data = last != "none";
  const double size = last_size_of(options);
  PL_CHECK(size > 0 && size < 1, kUsage, "--last-step-size is ", size,
           "; it must lie between 0 and 1 (the score is singular at t = 1).");
  const std::int64_t noisy_steps = options.steps - ends_on_data;
  PL_CHECK(noisy_steps >= 1, kUsage, "--steps is ", options.steps, "; solver ", options.solver,
           " needs at least 2, one of them the last.");
  constexpr std::int64_t kMostSteps = 30000;  // two draws each, whose purposes are numbers of 16 bits
  PL_CHECK(options.steps <= kMostSteps, kUsage, "--steps is ", options.steps, "; solver ", options.solver,
           " takes at most ", kMostSteps, ".");
  const double first =
      options.solver == "pc" ? options.t0 : std::max(options.t0, Diffusion::parse(options.diffusion).first_time());
  std::vector<double> times = time_grid(options.grid, noisy_steps, first, 1.0 - size);
  if (ends_on_data) times.push_back(1.0);
  return timeline_of(options, std::move(times));
}

template <class State>
Stochastic<State>::Stochastic(std::shared_ptr<const Timeline> line, std::int64_t elements, const SolverOptions& options,
                              StepNoise noise)
    : GivenSteps<State>(std::move(line), elements, options, Between::kHeld),
      path_(flow::Path::parse(options.path)),
      diffusion_(Diffusion::parse(options.diffusion)),
      last_(last_step_of(options)),
      ends_on_data_(last_ != "none"),
      noise_(std::move(noise)),
      draws_(this->y_.size()),
      noise_row_(this->y_.size()) {
  PL_ASSERT(noise_);
}

template <class State>
void Stochastic<State>::start(std::int64_t id, std::span<const State> x) {
  GivenSteps<State>::start(id, x);
  id_ = id;
}

template <class State>
flow::OfState Stochastic<State>::drift(double t, double d) const {
  const flow::OfState score = flow::score_of(path_.at(t));
  return {d * score.x, 1 + d * score.v};
}

template <class State>
const State* Stochastic<State>::draw(std::int64_t k) {
  noise_(id_, k, draws_);
  std::ranges::copy(draws_, noise_row_.begin());
  return noise_row_.data();
}

template <class State>
Evaluation Stochastic<State>::plan(std::span<State> input) {
  return last_step() ? GivenSteps<State>::plan(input) : plan_step(input);
}

template <class State>
Outcome Stochastic<State>::absorb(std::span<const State> value) {
  return last_step() ? absorb_last(value) : absorb_step(value);
}

template <class State>
Evaluation Stochastic<State>::plan_step(std::span<State> input) {
  return GivenSteps<State>::plan(input);
}

template <class State>
Outcome Stochastic<State>::absorb_last(std::span<const State> value) {
  const double t = this->from(), h = this->to() - t;
  flow::OfState end{1, h};  // euler
  if (last_ == "tweedie") end = flow::data_of(path_.at(t));
  if (last_ == "mean") {
    const flow::OfState slope = drift(t, diffusion_at(t));
    end = {1 + h * slope.x, h * slope.v};
  }
  const std::array<const State*, 2> rows = {this->y_.data(), value.data()};
  return this->next(combine_rows<State>(std::array{end.x, end.v}, rows.data(), value.size(), this->y_.data()));
}

template <class State>
Outcome EulerMaruyama<State>::absorb_step(std::span<const State> value) {
  const double t = this->from(), h = this->to() - t, d = this->diffusion_at(t);
  const flow::OfState slope = this->drift(t, d);
  const std::array weights = {1 + h * slope.x, h * slope.v, std::sqrt(2 * d * h)};
  const State* noise = this->draw(static_cast<std::int64_t>(this->step_));
  const std::array<const State*, 3> rows = {this->y_.data(), value.data(), noise};
  return this->next(combine_rows<State>(weights, rows.data(), value.size(), this->y_.data()));
}

template <class State>
void StochasticHeun<State>::start(std::int64_t id, std::span<const State> x) {
  Stochastic<State>::start(id, x);
  slope_.resize(x.size());
  predicted_.resize(x.size());
  second_ = false;
}

/// The first evaluation is at the state with its noise, the second where the drift leads from there.
template <class State>
Evaluation StochasticHeun<State>::plan_step(std::span<State> input) {
  const double t = this->from(), h = this->to() - t, d = this->diffusion_at(t);
  if (!second_) {
    const State* noise = this->draw(static_cast<std::int64_t>(this->step_));
    const std::array<const State*, 2> rows = {this->y_.data(), noise};
    combine_rows<State>(std::array{1.0, std::sqrt(2 * d * h)}, rows.data(), input.size(), this->y_.data());
    std::ranges::copy(this->y_, input.begin());
    return {t, this->guided()};
  }
  const flow::OfState slope = this->drift(t, d);
  const std::array<const State*, 2> rows = {this->y_.data(), slope_.data()};
  combine_rows<State>(std::array{1 + h * slope.x, h * slope.v}, rows.data(), input.size(), predicted_.data());
  std::ranges::copy(predicted_, input.begin());
  return {this->to(), this->guided()};
}

template <class State>
Outcome StochasticHeun<State>::absorb_step(std::span<const State> value) {
  second_ = !second_;
  if (second_) {
    std::ranges::copy(value, slope_.begin());
    return Outcome::kRunning;
  }
  const double t = this->from(), h = this->to() - t;
  const flow::OfState begin = this->drift(t, this->diffusion_at(t));
  const flow::OfState end = this->drift(this->to(), this->diffusion_at(this->to()));
  const std::array weights = {1 + h / 2 * begin.x, h / 2 * begin.v, h / 2 * end.x, h / 2 * end.v};
  const std::array<const State*, 4> rows = {this->y_.data(), slope_.data(), predicted_.data(), value.data()};
  return this->next(combine_rows<State>(weights, rows.data(), value.size(), this->y_.data()));
}

template <class State>
PredictorCorrector<State>::PredictorCorrector(std::shared_ptr<const Timeline> line, std::int64_t elements,
                                              const SolverOptions& options, StepNoise noise)
    : Stochastic<State>(std::move(line), elements, options, std::move(noise)), snr_(options.snr) {
  PL_CHECK(snr_ > 0 && snr_ < 1, kUsage, "--snr is ", snr_, "; a Langevin step needs one between 0 and 1.");
}

template <class State>
void PredictorCorrector<State>::start(std::int64_t id, std::span<const State> x) {
  Stochastic<State>::start(id, x);
  correcting_ = false;
}

template <class State>
Evaluation PredictorCorrector<State>::plan_step(std::span<State> input) {
  Evaluation next = GivenSteps<State>::plan(input);
  if (correcting_) next.t = this->to();
  return next;
}

template <class State>
Outcome PredictorCorrector<State>::absorb_step(std::span<const State> value) {
  if (correcting_) return correct(value);
  const bool first = this->step_ == 0;
  const double t = this->from(), h = this->to() - t, d = first ? 0.0 : this->diffusion_at(t);
  const flow::OfState slope = this->drift(t, d);
  const std::array weights = {1 + h * slope.x, h * slope.v, std::sqrt(2 * d * h)};
  const State* noise = first ? this->y_.data() : this->draw(2 * static_cast<std::int64_t>(this->step_));
  const std::array<const State*, 3> rows = {this->y_.data(), value.data(), noise};
  const bool finite = combine_rows<State>(weights, rows.data(), value.size(), this->y_.data());
  if (first || !finite) return this->next(finite);
  correcting_ = true;
  return Outcome::kRunning;
}

template <class State>
Outcome PredictorCorrector<State>::correct(std::span<const State> value) {
  correcting_ = false;
  const flow::PathPoint p = this->path().at(this->to());
  const flow::OfState score = flow::score_of(p);
  const double e = 2 * snr_ * snr_ * p.s * p.s;
  const State* noise = this->draw(2 * static_cast<std::int64_t>(this->step_) + 1);
  const std::array weights = {1 + e * score.x, e * score.v, std::sqrt(2 * e)};
  const std::array<const State*, 3> rows = {this->y_.data(), value.data(), noise};
  return this->next(combine_rows<State>(weights, rows.data(), value.size(), this->y_.data()));
}

template class Stochastic<float>;
template class Stochastic<double>;
template class EulerMaruyama<float>;
template class EulerMaruyama<double>;
template class StochasticHeun<float>;
template class StochasticHeun<double>;
template class PredictorCorrector<float>;
template class PredictorCorrector<double>;

}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
#include "sampler/runge_kutta.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "sampler/row_math.h"

namespace pathline::sampler {
namespace {
constexpr std::array<double, 1> kEuler = {1.0};
}

template <class State>
RungeKutta<State>::RungeKutta(const Tableau& tableau, std::shared_ptr<const Timeline> line,
                              const SolverOptions& options, std::int64_t elements)
    : tableau_(tableau),
      line_(std::move(line)),
      options_(options),
      controller_(Controller::parse(options.controller)),
      fsal_(tableau.fsal()),
      last_euler_(options.last_step == "euler"),
      y_(static_cast<std::size_t>(elements)),
      y_new_(y_.size()),
      k_(static_cast<std::size_t>(tableau.stages()), std::vector<State>(y_.size())),
      trajectory_(options, y_.size()) {}

template <class State>
void RungeKutta<State>::start(std::int64_t, std::span<const State> x) {
  std::copy(x.begin(), x.end(), y_.begin());
  segment_ = 0;
  stage_ = 0;
  t_ = line_->times.front();
  history_ = {};
  floor_.reset();
  trajectory_.start();
  slope_is_awaited_ = false;
  tried_ = rejected_ = floor_steps_ = 0;
  phase_ = tableau_.adaptive() ? Phase::kFirstSlope : Phase::kStage;
  dt_ = 0;
  if (!tableau_.adaptive()) begin_step();
}

template <class State>
Evaluation RungeKutta<State>::plan(std::span<State> input) {
  k_rows_.clear();
  for (const std::vector<State>& k : k_) k_rows_.push_back(k.data());
  const bool guided = line_->guided[segment_];
  if (phase_ == Phase::kProbe) {
    advance_row<State>(y_.data(), dt_, kEuler, k_rows_.data(), y_.size(), input.data());
    return {t_ + dt_, guided};
  }
  const double c = tableau_.c[stage_];
  advance_row<State>(y_.data(), dt_, tableau_.a[stage_], k_rows_.data(), y_.size(), input.data());
  return {c == 1.0 ? t_end_ : t_ + c * dt_, guided};
}

template <class State>
Outcome RungeKutta<State>::absorb(std::span<const State> value) {
  if (slope_is_awaited_) pass_step_before(value.data());
  // The probe's slope uses the place that stage 1 fills next.
  std::copy(value.begin(), value.end(), k_[phase_ == Phase::kProbe ? 1 : stage_].begin());
  if (phase_ == Phase::kFirstSlope) return plan_probe();
  if (phase_ == Phase::kProbe) return plan_first_step();
  return ++stage_ == stages_of_step() ? finish_step() : Outcome::kRunning;
}

template <class State>
double RungeKutta<State>::norm(const State* values) const {
  return scaled_norm(y_.data(), y_.size(), options_.rtol, options_.atol,
                     [&](std::size_t i) { return static_cast<double>(values[i]); });
}

template <class State>
Outcome RungeKutta<State>::plan_probe() {
  slope_norm_ = norm(k_[0].data());
  const double room = std::abs(line_->times[segment_ + 1] - t_);  // a field may not be defined beyond its end
  dt_ = std::copysign(std::min(room, probe_step(norm(y_.data()), slope_norm_)), options_.t1 - options_.t0);
  phase_ = Phase::kProbe;
  return std::isfinite(slope_norm_) && std::isfinite(dt_) ? Outcome::kRunning : Outcome::kNotFinite;
}

template <class State>
Outcome RungeKutta<State>::plan_first_step() {
  const double change = scaled_norm(y_.data(), y_.size(), options_.rtol, options_.atol, [&](std::size_t i) {
    return static_cast<double>(k_[1][i]) - static_cast<double>(k_[0][i]);
  });
  if (!std::isfinite(change)) return Outcome::kNotFinite;
  const double h0 = std::abs(dt_);
  dt_ = std::copysign(first_step(h0, slope_norm_, change / h0, tableau_.order), dt_);
  phase_ = Phase::kStage;
  stage_ = 1;
  return begin_step();
}

/// Fixes where the next step ends. `dt_` is the wish of the step control, or nothing for given steps.
template <class State>
Outcome RungeKutta<State>::begin_step() {
  const double segment_end = line_->times[segment_ + 1];
  if (tableau_.adaptive()) {
    if (underflows(dt_, options_.t0, options_.t1)) return Outcome::kStepTooShort;
    if (tried_ >= options_.max_steps) return Outcome::kTooManySteps;
    wish_ = dt_;
    t_end_ = step_end(t_, dt_, segment_end);
  } else {
    t_end_ = segment_end;
  }
  dt_ = t_end_ - t_;
  return Outcome::kRunning;
}

template <class State>
double RungeKutta<State>::error_ratio() const {
  const auto tail = static_cast<std::size_t>(options_.tail);
  const std::size_t n = y_.size() - tail;
  const double ratio = error_ratio_of<State>(y_.data(), y_new_.data(), dt_, tableau_.e, k_rows_.data(), 0, n,
                                             options_.rtol, options_.atol);
  if (tail == 0) return ratio;
  const double other = error_ratio_of<State>(y_.data(), y_new_.data(), dt_, tableau_.e, k_rows_.data(), n, tail,
                                             options_.rtol, options_.atol);
  return std::isnan(other) ? other : std::max(ratio, other);
}

template <class State>
Outcome RungeKutta<State>::finish_step() {
  const std::span<const double> weights = euler_step() ? std::span<const double>(kEuler) : tableau_.b;
  const bool finite = advance_row<State>(y_.data(), dt_, weights, k_rows_.data(), y_.size(), y_new_.data());
  ++tried_;
  if (!finite) return Outcome::kNotFinite;
  if (!tableau_.adaptive()) {
    this->tell({t_, dt_, std::nullopt, true});
    return accept(0);
  }
  const double ratio = error_ratio();
  if (!std::isfinite(ratio)) return Outcome::kNotFinite;
  const bool floor = ratio > 1 && floor_.accepts(dt_, ratio, norm(k_[0].data()));
  const bool accepted = ratio <= 1 || floor;
  this->tell({t_, dt_, ratio, accepted});
  floor_steps_ += floor;
  return accepted ? accept(ratio) : reject(ratio);
}

template <class State>
Outcome RungeKutta<State>::reject(double ratio) {
  ++rejected_;
  stage_ = 1;  // y and t stay, and so does the first slope
  dt_ = shorter_step(dt_, ratio, tableau_.order);
  return begin_step();
}

template <class State>
Outcome RungeKutta<State>::accept(double ratio) {
  if (trajectory_.passes(t_end_)) pass_step();
  std::swap(y_, y_new_);
  if (fsal_) std::swap(k_.front(), k_.back());
  stage_ = fsal_ ? 1 : 0;
  t_ = t_end_;
  const bool landed = t_ == line_->times[segment_ + 1];
  if (tableau_.adaptive()) {
    const double taken = floor_.step_taken(dt_);
    dt_ = ratio <= 1 ? next_step(dt_, ratio, tableau_.order, controller_, history_) : taken;
    // A step that was cut to land says little about the longer one that was wanted.
    if (landed && std::abs(wish_) > std::abs(dt_)) dt_ = wish_;
    history_ = {ratio, history_.before};
  }
  if (landed) {
    if (segment_ + 1 == line_->segments()) {
      trajectory_.finish(y_);
      return Outcome::kDone;
    }
    enter_next_segment();
  }
  return begin_step();
}

/// Dense output of the step that is being accepted: from y_ to y_new_.
template <class State>
void RungeKutta<State>::pass_step() {
  std::vector<const State*> rows = {y_.data(), y_new_.data()};
  rows.insert(rows.end(), k_rows_.begin(), k_rows_.end());
  const std::size_t next = segment_ + 1;
  if (fsal_) {
    trajectory_.pass(t_, t_end_, rows.data(), [this](double theta) { return dense_weights(tableau_, theta, dt_); });
  } else if (next < line_->segments() && line_->guided[next] == line_->guided[segment_]) {
    t_before_ = t_;
    slope_is_awaited_ = true;
  } else {
    trajectory_.pass(t_, t_end_, rows.data(), [this](double theta) { return quadratic_weights(theta, dt_); });
  }
}

/// And of the step before, from what is y_new_ now to y_, with the slope there. k_[0] is still that step's.
template <class State>
void RungeKutta<State>::pass_step_before(const State* slope) {
  slope_is_awaited_ = false;
  const std::array<const State*, 4> rows = {y_new_.data(), y_.data(), k_[0].data(), slope};
  const double h = t_ - t_before_;
  trajectory_.pass(t_before_, t_, rows.data(), [h](double theta) { return hermite_weights(theta, h); });
}

/// Guidance begins or ends here: the field jumps, so nothing that was evaluated before is of use.
template <class State>
void RungeKutta<State>::enter_next_segment() {
  ++segment_;
  stage_ = 0;
  history_ = {};
}

template class RungeKutta<float>;
template class RungeKutta<double>;

}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
#include "sampler/multistep.h"

#include <algorithm>
#include <array>
#include <utility>

#include "sampler/row_math.h"

namespace pathline::sampler {

template <class State>
GivenSteps<State>::GivenSteps(std::shared_ptr<const Timeline> line, std::int64_t elements, const SolverOptions& options,
                              Between between)
    : line_(std::move(line)),
      y_(static_cast<std::size_t>(elements)),
      between_(between),
      trajectory_(options, y_.size()) {}

template <class State>
void GivenSteps<State>::start(std::int64_t, std::span<const State> x) {
  std::ranges::copy(x, y_.begin());
  step_ = 0;
  trajectory_.start();
  begin_step();
}

template <class State>
void GivenSteps<State>::begin_step() {
  if (between_ == Between::kHeld) trajectory_.hold(to(), y_);
  if (trajectory_.passes(to())) begin_ = y_;
}

template <class State>
Evaluation GivenSteps<State>::plan(std::span<State> input) {
  std::ranges::copy(y_, input.begin());
  return {from(), guided()};
}

template <class State>
Outcome GivenSteps<State>::next(bool finite) {
  if (!finite) return Outcome::kNotFinite;
  this->tell({from(), to() - from(), std::nullopt, true});
  const std::array<const State*, 2> rows = {begin_.data(), y_.data()};
  trajectory_.pass(from(), to(), rows.data(), linear_weights);
  if (++step_ < line_->segments()) {
    begin_step();
    return Outcome::kRunning;
  }
  trajectory_.finish(y_);
  return Outcome::kDone;
}

template <class State>
AdamsBashforth2<State>::AdamsBashforth2(std::shared_ptr<const Timeline> line, std::int64_t elements,
                                        const SolverOptions& options)
    : GivenSteps<State>(std::move(line), elements, options), slope_(this->y_.size()), slope_before_(this->y_.size()) {}

template <class State>
void AdamsBashforth2<State>::start(std::int64_t id, std::span<const State> x) {
  GivenSteps<State>::start(id, x);
  second_of_heun_ = false;
}

template <class State>
Evaluation AdamsBashforth2<State>::plan(std::span<State> input) {
  if (!second_of_heun_) return GivenSteps<State>::plan(input);
  constexpr std::array<double, 1> kOne = {1.0};
  const State* slope = slope_.data();
  advance_row<State>(this->y_.data(), this->to() - this->from(), kOne, &slope, input.size(), input.data());
  return {this->to(), this->guided()};
}

template <class State>
Outcome AdamsBashforth2<State>::absorb(std::span<const State> value) {
  const double h = this->to() - this->from();
  std::array<double, 2> weights = {0.5, 0.5};
  std::array<const State*, 2> rows = {slope_.data(), value.data()};
  if (second_of_heun_) {
    second_of_heun_ = false;
  } else {
    std::swap(slope_, slope_before_);
    std::ranges::copy(value, slope_.begin());
    if (!this->remembers()) {
      second_of_heun_ = true;
      return Outcome::kRunning;
    }
    const double half_ratio = h / this->length_before() / 2;
    weights = {1 + half_ratio, -half_ratio};
    rows = {slope_.data(), slope_before_.data()};
  }
  return this->next(advance_row<State>(this->y_.data(), h, weights, rows.data(), value.size(), this->y_.data()));
}

template <class State>
DpmSolver2M<State>::DpmSolver2M(std::shared_ptr<const Timeline> line, std::int64_t elements,
                                const SolverOptions& options)
    : GivenSteps<State>(std::move(line), elements, options),
      path_(flow::Path::parse(options.path)),
      data_(this->y_.size()),
      data_before_(this->y_.size()) {}

template <class State>
Outcome DpmSolver2M<State>::absorb(std::span<const State> value) {
  const flow::PathPoint p = path_.at(this->from()), q = path_.at(this->to());
  const flow::OfState data = flow::data_of(p);
  std::swap(data_, data_before_);
  const std::array<const State*, 2> prediction = {this->y_.data(), value.data()};
  combine_rows<State>(std::array{data.x, data.v}, prediction.data(), value.size(), data_.data());

  // x' = s'/s x + (a' - a s'/s) D with D = (1 + 1/2r) D_n - 1/2r D_{n-1}: a'(1 - e^-h) without h, which is infinite
  // where the step begins on the noise or ends on the data.
  const double keep = q.s / p.s, take = q.a - p.a * keep;
  double extrapolation = 0;
  if (this->remembers() && q.s > 0) {
    const double before = path_.at(this->line_->times[this->step_ - 1]).log_snr_half();
    const double r = (p.log_snr_half() - before) / (q.log_snr_half() - p.log_snr_half());
    extrapolation = 1 / (2 * r);  // 0 where the step before began on the noise
  }
  const std::array<const State*, 3> rows = {this->y_.data(), data_.data(), data_before_.data()};
  const std::array weights = {keep, take * (1 + extrapolation), -take * extrapolation};
  return this->next(combine_rows<State>(weights, rows.data(), value.size(), this->y_.data()));
}

template <class State>
Outcome FlowDdim<State>::absorb(std::span<const State> value) {
  const flow::PathPoint p = path_.at(this->from()), q = path_.at(this->to());
  const flow::OfState data = flow::data_of(p), noise = flow::noise_of(p);
  const std::array<const State*, 2> rows = {this->y_.data(), value.data()};
  const std::array weights = {q.a * data.x + q.s * noise.x, q.a * data.v + q.s * noise.v};
  return this->next(combine_rows<State>(weights, rows.data(), value.size(), this->y_.data()));
}

template class GivenSteps<float>;
template class GivenSteps<double>;
template class AdamsBashforth2<float>;
template class AdamsBashforth2<double>;
template class DpmSolver2M<float>;
template class DpmSolver2M<double>;
template class FlowDdim<float>;
template class FlowDdim<double>;

}  // namespace pathline::sampler

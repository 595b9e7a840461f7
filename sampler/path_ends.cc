// SPDX-License-Identifier: Apache-2.0
#include "sampler/path_ends.h"

#include <algorithm>
#include <array>
#include <utility>

#include "flow/path.h"
#include "sampler/row_math.h"

namespace pathline::sampler {

PathEnds path_ends(const SolverOptions& options) {
  const flow::Path path = flow::Path::parse(options.path);
  PathEnds ends;
  ends.start_scale = options.start_scale;
  if (options.denoise) {
    ends.to_data = flow::data_of(path.at(options.t1));
    ends.last = {options.t1, options.guidance_from <= options.t1 && options.t1 <= options.guidance_to};
  }
  return ends;
}

template <class State>
BetweenEnds<State>::BetweenEnds(std::unique_ptr<SlotMethod<State>> method, const PathEnds& ends, std::int64_t elements)
    : method_(std::move(method)), ends_(ends), y_(static_cast<std::size_t>(elements)) {}

template <class State>
void BetweenEnds<State>::start(std::int64_t id, std::span<const State> x) {
  std::ranges::transform(x, y_.begin(), [this](State value) {
    return static_cast<State>(ends_.start_scale * static_cast<double>(value));
  });
  method_->start(id, y_);
  ending_ = false;
}

template <class State>
Evaluation BetweenEnds<State>::plan(std::span<State> input) {
  if (!ending_) return method_->plan(input);
  std::ranges::copy(method_->state(), input.begin());
  return ends_.last;
}

template <class State>
Outcome BetweenEnds<State>::absorb(std::span<const State> value) {
  if (!ending_) {
    const Outcome outcome = method_->absorb(value);
    ending_ = outcome == Outcome::kDone && ends_.to_data;
    return ending_ ? Outcome::kRunning : outcome;
  }
  const std::array<const State*, 2> rows = {method_->state().data(), value.data()};
  const std::array weights = {ends_.to_data->x, ends_.to_data->v};
  return combine_rows<State>(weights, rows.data(), y_.size(), y_.data()) ? Outcome::kDone : Outcome::kNotFinite;
}

template class BetweenEnds<float>;
template class BetweenEnds<double>;

}  // namespace pathline::sampler

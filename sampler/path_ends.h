// SPDX-License-Identifier: Apache-2.0
// The two ends of a path around any method: noise of the deviation s(t0) to begin with and, where the path cannot be
// integrated up to the data, one evaluation more that ends on the data which the velocity points to.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "flow/path_point.h"
#include "sampler/slot_method.h"

namespace pathline::sampler {

struct PathEnds {
  double start_scale = 1;                // of the noise
  std::optional<flow::OfState> to_data;  // at the time where the method ends
  Evaluation last;                       // there
};

/// Of a path and its times, as options name them.
PathEnds path_ends(const SolverOptions& options);

template <class State>
class BetweenEnds final : public SlotMethod<State> {
 public:
  BetweenEnds(std::unique_ptr<SlotMethod<State>> method, const PathEnds& ends, std::int64_t elements);

  void start(std::int64_t id, std::span<const State> x) override;
  Evaluation plan(std::span<State> input) override;
  Outcome absorb(std::span<const State> value) override;
  std::span<const State> state() const override {
    return ends_.to_data ? std::span<const State>(y_) : method_->state();
  }
  std::int64_t rejected_steps() const override { return method_->rejected_steps(); }
  std::int64_t noise_floor_steps() const override { return method_->noise_floor_steps(); }
  std::span<const State> trajectory() const override { return method_->trajectory(); }
  void watch(StepWatch watch) override { method_->watch(std::move(watch)); }

 private:
  const std::unique_ptr<SlotMethod<State>> method_;
  const PathEnds ends_;
  std::vector<State> y_;
  bool ending_ = false;
};

extern template class BetweenEnds<float>;
extern template class BetweenEnds<double>;

}  // namespace pathline::sampler

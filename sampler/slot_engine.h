// SPDX-License-Identifier: Apache-2.0
// Many samples at once, each at its own time, stage and step length, in S slots of a batch whose shape never changes.
// A tick is one evaluation of the field for all slots; a slot whose sample is finished takes the next from the queue.
// Nothing of one row enters another, so a sample does not depend on its batch mates or on its slot.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "sampler/guidance.h"
#include "sampler/slot_method.h"

namespace pathline::sampler {

/// A sample that waits for a slot.
struct Start {
  std::int64_t id = 0;
  std::int64_t label = 0;  // as the field wants it
  at::Tensor x;            // one sample, of the engine's state type
  double guidance = 1.0;   // its weight
};

/// A sample that left its slot.
struct Finish {
  std::int64_t id = 0;
  at::Tensor x;  // zeros if it failed
  std::int64_t nfe = 0, rejected = 0, noise_floor_steps = 0;
  Outcome outcome = Outcome::kDone;
};

/// What the slots did.
struct Work {
  std::int64_t ticks = 0;
  std::int64_t useful = 0;   // evaluations of rows that held a sample
  double field_seconds = 0;  // of the run, inside the field
};

/// State is float or double: the type of x, of t as the field sees it, and of the registers. t, dt and all coefficients
/// are fp64.
template <class State>
class SlotEngine {
 public:
  /// Every slot gets a method of its own. `labelled`: the field is given labels (S), else an undefined tensor.
  SlotEngine(GuidedField field, const MethodMaker<State>& make_method, std::vector<std::int64_t> sample_shape,
             std::int64_t slots, bool labelled);

  /// Until `next` gives nothing and all slots are empty. Both callbacks run on the calling thread.
  Work run(const std::function<std::optional<Start>()>& next, const std::function<void(Finish&&)>& emit);
  /// What run() has done so far.
  const Work& work() const { return work_; }

 private:
  struct Slot {
    std::unique_ptr<SlotMethod<State>> method;
    bool busy = false;
    std::int64_t id = 0;
    double guidance = 1.0;
    std::int64_t nfe = 0;
    Outcome outcome = Outcome::kRunning;
  };

  void fill(std::int64_t s, const Start& start);
  void empty(std::int64_t s);
  void advance(std::int64_t s, std::span<const State> value);
  void plan(std::int64_t s);
  Finish take(std::int64_t s);
  std::span<State> input_row(std::int64_t s);

  const GuidedField field_;
  const std::int64_t slots_;
  std::vector<std::int64_t> shape_;  // (S, sample...)
  std::int64_t elements_ = 1;        // of one sample
  std::vector<Slot> slot_;           // (S)
  Work work_;
  at::Tensor input_, times_, weights_, labels_;  // (S, sample...), (S), (S) fp32, (S) or undefined
};

extern template class SlotEngine<float>;
extern template class SlotEngine<double>;

}  // namespace pathline::sampler

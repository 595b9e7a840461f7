// SPDX-License-Identifier: Apache-2.0
// Many samples at once, each at its own time, stage and step length, in S slots of a batch whose shape never changes.
// A tick is one evaluation of the field for all slots; a slot whose sample is finished takes the next from the queue.
// Nothing of one row enters another, so a sample does not depend on its batch mates or on its slot.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "sampler/generate.h"
#include "sampler/guidance.h"
#include "sampler/tableau.h"

namespace pathline::sampler {

/// A sample that waits for a slot.
struct Start {
  std::int64_t id = 0;
  std::int64_t label = 0;  // as the field wants it
  at::Tensor x;            // one sample, of the engine's state type
};

/// A sample that left its slot.
struct Finish {
  std::int64_t id = 0;
  at::Tensor x;  // zeros if it failed
  std::int64_t nfe = 0, rejected = 0;
  bool failed = false;
};

/// What the slots did.
struct Work {
  std::int64_t ticks = 0;
  std::int64_t useful = 0;  // evaluations of rows that held a sample
};

/// State is float or double: the type of x, of t as the field sees it, and of the registers. t, dt and all coefficients
/// are fp64.
template <class State>
class SlotEngine {
 public:
  /// `labelled`: the field is given labels (S), else an undefined tensor.
  SlotEngine(CostedField field, const SolverOptions& options, std::vector<std::int64_t> sample_shape,
             std::int64_t slots, bool labelled);

  /// Until `next` gives nothing and all slots are empty. Both callbacks run on the calling thread.
  Work run(const std::function<std::optional<Start>()>& next, const std::function<void(Finish&&)>& emit);
  /// What run() has done so far.
  const Work& work() const { return work_; }

 private:
  enum class Phase { kEmpty, kFirstSlope, kProbe, kStage, kDone, kFailed };

  struct Slot {
    Phase phase = Phase::kEmpty;
    std::int64_t id = 0;
    int stage = 0;                  // the slope that the next evaluation gives
    double t = 0, t_end = 0;        // the step under way: from t to t_end
    double dt = 0;                  // its length; the probe's while the first step is being chosen
    double slope_norm = 0;          // d1 of the first step's rule
    std::int64_t steps = 0;         // tried
    std::int64_t rejected = 0;
    std::int64_t nfe = 0;
  };

  void fill(std::int64_t s, const Start& start);
  void empty(std::int64_t s);
  Finish take(std::int64_t s);

  void build_input(std::int64_t s);
  void absorb(std::int64_t s, const State* slopes);
  void plan_probe(std::int64_t s);
  void plan_first_step(std::int64_t s);
  void finish_step(std::int64_t s);
  void accept(std::int64_t s);
  void begin_step(std::int64_t s);
  double grid_time(std::int64_t step) const;

  State* row(std::vector<State>& registers, std::int64_t s) { return registers.data() + s * elements_; }
  std::vector<const State*> slopes_of(std::int64_t s);

  const CostedField field_;
  const SolverOptions options_;
  const Tableau& tableau_;
  const bool fsal_;
  const std::int64_t slots_;
  std::vector<std::int64_t> shape_;     // (S, sample...)
  std::int64_t elements_ = 1;           // of one sample
  std::vector<Slot> slot_;              // (S)
  std::vector<State> y_, y_new_;        // (S, elements)
  std::vector<std::vector<State>> k_;   // stages x (S, elements)
  at::Tensor input_, times_, labels_;   // (S, sample...), (S), (S) or undefined
  Work work_;
};

extern template class SlotEngine<float>;
extern template class SlotEngine<double>;

}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
// Many samples at once, each at its own time, stage and step length, through networks whose batch shape never changes.
// An evaluation of a sample asks for rows: one of the field, and where it is guided one more with the null label or of
// the weaker network, and one of the push. A tick is one forward pass of one network, of the S rows that have waited
// for it longest; a finished sample's place is taken by the next from the queue. Nothing of one row enters another, so
// a sample depends neither on its batch mates nor on its row.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "sampler/guidance.h"
#include "sampler/slot_method.h"

namespace pathline::sampler {

/// A sample that waits to be made.
struct Start {
  std::int64_t id = 0;
  std::int64_t label = 0;   // as the field wants it
  at::Tensor x;             // one sample, of the engine's state type
  double guidance = 1.0;    // its weight
  std::size_t method = 0;   // which solves it: 0, or one of SlotEngine::add_method()
  std::int64_t ticket = 0;  // of the caller's; comes back with the finished sample
};

/// A sample that is ready, or has failed.
struct Finish {
  std::int64_t id = 0;
  at::Tensor x;  // zeros if it failed
  std::int64_t nfe = 0, rejected = 0, noise_floor_steps = 0;
  Outcome outcome = Outcome::kDone;
  at::Tensor trajectory;  // (times, sample...) of SolverOptions::trajectories; undefined if none was asked or it failed
  std::int64_t ticket = 0;
};

/// What the rows did.
struct Work {
  std::int64_t ticks = 0;
  std::int64_t useful = 0;   // rows that some sample had asked for
  double field_seconds = 0;  // of the run, inside the networks
};

/// State is float or double: the type of x, of t as the field sees it, and of the registers. t, dt and all coefficients
/// are fp64.
template <class State>
class SlotEngine {
 public:
  /// Networks of S = `slots` rows. N of them (field, weaker, push) keep N (S - 1) + 1 samples going, of which each
  /// waits for at least one row: so one of the networks always has S rows to do, as long as `next` gives samples.
  /// `labelled`: the field is given labels (S), else an undefined tensor; the push always is.
  SlotEngine(GuidedField field, const MethodMaker<State>& make_method, std::vector<std::int64_t> sample_shape,
             std::int64_t slots, bool labelled);

  /// A further method for Start::method, from the next sample on: samples of different solvers share the batches.
  std::size_t add_method(MethodMaker<State> make_method);
  /// From here on; `watch` is called from several threads, at once for different samples.
  void watch(const SampleWatch& watch);
  /// Until `next` gives nothing and all samples are out. Both callbacks run on the calling thread. Throws
  /// ExitCode::kUsage for a sample with a weight where there is nothing to be guided away from.
  Work run(const std::function<std::optional<Start>()>& next, const std::function<void(Finish&&)>& emit);
  /// What run() has done so far.
  const Work& work() const { return work_; }

 private:
  /// What an evaluation is put together from.
  enum Term { kConditional, kOther, kPush, kTerms };

  struct Flight {
    std::unique_ptr<SlotMethod<State>> method;
    std::size_t made_by = 0;  // which maker made it
    std::int64_t id = 0, label = 0, ticket = 0;
    double guidance = 1.0;
    std::int64_t nfe = 0;
    Outcome outcome = Outcome::kRunning;
    bool moved = false;  // in this tick, to its next evaluation or its end

    // The evaluation that it waits for.
    std::vector<State> x;
    double t = 0, weight = 1.0;
    std::array<bool, kTerms> asked = {};
    int missing = 0;                                // terms that are not there yet
    std::array<std::vector<State>, kTerms> values;  // those that are, where it is more than one
  };

  /// One term of one flight's evaluation.
  struct Row {
    std::size_t flight = 0;
    Term term = kConditional;
  };

  struct Network {
    Field field;
    bool labelled = false;
    std::deque<Row> waiting;
  };

  bool refill(Flight& flight, const std::function<std::optional<Start>()>& next);
  SlotMethod<State>& method_of(Flight& flight, std::size_t maker);
  void plan(Flight& flight);
  void ask(std::size_t flight);
  Network& network_of(Term term);
  std::int64_t label_of(const Row& row) const;

  void tick();
  void pack(Network& network);
  void hand_back(std::span<const State> values);
  void receive(const Row& row, std::span<const State> value);
  void absorb(Flight& flight, std::span<const State> value);
  Finish take(const Flight& flight) const;

  const GuidedField field_;
  const std::size_t slots_;
  std::vector<std::int64_t> shape_;  // (S, sample...)
  std::size_t elements_ = 1;         // of one sample
  std::size_t guided_elements_ = 0;  // those that the weight acts on
  std::int64_t grain_ = 1;           // rows worth a thread
  std::vector<Network> networks_;    // field, then weaker and push where there are
  std::vector<MethodMaker<State>> makers_;
  SampleWatch watch_;
  std::vector<Flight> flights_;
  std::vector<Row> rows_;            // of this tick
  std::vector<std::size_t> groups_;  // their first rows: those of one flight lie together
  std::size_t filled_ = 0;           // rows that are not zero
  Work work_;
  at::Tensor input_, times_, labels_;  // (S, sample...), (S), (S)
};

extern template class SlotEngine<float>;
extern template class SlotEngine<double>;

}  // namespace pathline::sampler

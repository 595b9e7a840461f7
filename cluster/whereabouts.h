// SPDX-License-Identifier: Apache-2.0
// Where this rank is: step, phase and collective, as the code that trains says it and other threads read it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace pathline::cluster {

/// In the order in which a step passes through them.
enum class Phase : std::uint8_t {
  kSetup,
  kData,
  kCompute,
  kReduce,
  kUpdate,
  kGather,
  kReport,
  kValidate,
  kCheckpoint,
  kPreview,
  kEnd
};

const char* name_of(Phase phase);

/// What one rank tells the others; plain bytes, the same on all ranks.
struct RankRecord {
  std::int64_t progress = 0;     // moves whenever the rank gets anywhere
  std::int64_t step = 0;         // the step in progress; outside of steps (kReport and later) those done
  std::int64_t collective = 0;   // collectives of the training step that the rank has begun
  std::int64_t timed_steps = 0;  // steps that the two times below are sums over
  double data_seconds = 0;       // waiting for data
  double compute_seconds = 0;    // both per unit of work, see set_work()
  Phase phase = Phase::kSetup;
  bool ends_all = false;  // the first judge has spoken: the launcher may take seconds to end everybody
};

/// One thread, the one that trains, calls enter() and set_work(); any thread calls the rest. Costs one look at the
/// clock and a few relaxed stores.
class Whereabouts {
 public:
  Whereabouts();
  Whereabouts(const Whereabouts&) = delete;
  Whereabouts& operator=(const Whereabouts&) = delete;

  void enter(Phase phase, std::int64_t step);
  void enter(Phase phase) { enter(phase, step_); }
  /// Calls wait() in `phase`, then comes back: time that this rank spends waiting for others is not its own.
  template <class Wait>
  void waiting(Phase phase, const Wait& wait) {
    const Phase before = record().phase;
    enter(phase);
    wait();
    enter(before);
  }
  /// Inside a phase: something came to an end (a slice, an evaluation for a preview).
  void progress() { progress_.fetch_add(1, std::memory_order_relaxed); }
  /// The next collective of the training step begins.
  void next_collective() {
    collective_.fetch_add(1, std::memory_order_relaxed);
    progress();
  }
  /// This rank's part of a step (its samples): what makes times of ranks with unequal parts comparable. Default 1.
  void set_work(double units) { work_.store(units, std::memory_order_relaxed); }

  RankRecord record() const;

 private:
  std::int64_t step_ = 0;  // the training thread's alone, as the next two
  std::int64_t computed_step_ = -1;
  std::int64_t entered_ = 0;  // ns
  std::atomic<std::int64_t> progress_{0};
  std::atomic<std::int64_t> place_{0};  // step * 256 + phase: never torn
  std::atomic<std::int64_t> collective_{0};
  std::atomic<std::int64_t> timed_steps_{0};
  std::array<std::atomic<std::int64_t>, 2> spent_{};  // ns with data, computing
  std::atomic<double> work_{1.0};
};

}  // namespace pathline::cluster

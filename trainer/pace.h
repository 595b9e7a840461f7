// SPDX-License-Identifier: Apache-2.0
// How much of the time a background thread may write. Fast storage takes memory bandwidth from the training beside it,
// with plain direct writes no less (docs/performance.md, "Checkpoints").
#pragma once

#include <atomic>

namespace pathline::trainer {

/// The pause, in seconds, after `worked` seconds of writing, so that writing is `share` of the time: as long as
/// `worked` says, but never long enough to matter where storage is slow.
double pause_after(double worked, double share);

/// One thread works under it; any thread may take it off.
class Pace {
 public:
  /// 0 < share <= 1; 1 never pauses.
  explicit Pace(double share) : share_(share) {}

  /// Work begins now: after a start, and after a wait that was no work.
  void begin();
  /// After a piece of work: sleeps, unless somebody waits for the end.
  void rest();
  /// Somebody waits (or nobody any more).
  void set_awaited(bool awaited) { awaited_.store(awaited); }

 private:
  const double share_;
  double since_ = 0;
  std::atomic<bool> awaited_{false};
};

}  // namespace pathline::trainer

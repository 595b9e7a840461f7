// SPDX-License-Identifier: Apache-2.0
// When a run must stop so that its last checkpoint is in time: run.wall_minutes, and the end of the Slurm job where it
// is known (docs/recovery.md, "When the time is over"). Rank 0 looks once a step; no clock of its own.
#pragma once

#include <optional>

#include "cluster/session.h"

namespace pathline::trainer {

/// The end of this start's time on the monotonic clock, on which it began at `start`: the earlier of `wall_minutes`
/// later (0: none) and SLURM_JOB_END_TIME, where it is set and has not passed (a job whose time was extended still says
/// the old one); for that, both clocks now. Nothing: no end is known.
std::optional<double> end_of_time(double start, double wall_minutes, const cluster::Environment& environment,
                                  double monotonic_now, double wall_now);

/// All times in seconds on the monotonic clock.
class WallTime {
 public:
  WallTime(double start, std::optional<double> end) : start_(start), end_(end) {}

  /// A checkpoint took so long, from its beginning to its commit.
  void saved(double seconds) { save_ = seconds; }
  /// Once a step: whether it is time to write the last checkpoint.
  bool nearly_over(double now);

  /// How long before the end: twice the last save, twice the longest time between two looks (what one step asks for,
  /// the next one does), and a margin of 30 s or a tenth of the time; at most half of the time, so that the rest is
  /// trained.
  double lead() const;
  std::optional<double> end() const { return end_; }

 private:
  double start_;
  std::optional<double> end_;
  std::optional<double> last_look_;
  double save_ = 0, longest_ = 0;
};

}  // namespace pathline::trainer

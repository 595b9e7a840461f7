// SPDX-License-Identifier: Apache-2.0
// When a run writes checkpoints, and what it makes of how they end (docs/recovery.md, "Saving beside training"): one at
// a time, again after a failure, by the clock, and loudly where storage is slow.
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/checkpoint.h"
#include "cluster/whereabouts.h"
#include "trainer/background_saver.h"
#include "trainer/options.h"
#include "trainer/telemetry.h"
#include "trainer/wall_time.h"

namespace pathline::trainer {

/// One thread, the one that trains, calls it. "All ranks" means: in the same step.
class CheckpointSchedule {
 public:
  /// `saved_step`: that of the checkpoint of this run which it stands at, or -1. References must outlive it.
  CheckpointSchedule(BackgroundSaver& saver, const Recipe& recipe, std::string directory, std::int64_t saved_step,
                     cluster::Communicator& ranks, cluster::Whereabouts& here, Telemetry& telemetry,
                     WallTime& wall_time);

  /// Whether there is a checkpoint of this step, committed or under way.
  bool holds(std::uint64_t step) const { return saved_step_ == static_cast<std::int64_t>(step); }
  /// After a rollback: the run stands at the checkpoint of this step.
  void stands_at(std::uint64_t step) { saved_step_ = static_cast<std::int64_t>(step); }

  /// This rank's flags for the control word: whether one is due by rank 0's clock, and whether this rank still writes.
  std::uint64_t flags();
  /// What the control word says. All ranks.
  void hear(std::uint64_t word);

  /// Starts the checkpoint of `progress` and returns, unless storage is still busy with the one before. All ranks.
  void write(checkpoint::State& progress);
  /// The one that the run cannot end without: returns when it is committed, throws AgreedError (kEnvironment) if it
  /// cannot be. All ranks.
  void write_last(checkpoint::State& progress);
  /// Returns when none is under way. All ranks.
  void settle();

 private:
  bool due_by_clock(double now) const;
  void complain_if_stuck();
  void note(const SaveOutcome& outcome);

  BackgroundSaver& saver_;
  const CheckpointOptions& options_;
  std::string directory_;
  std::int64_t saved_step_;
  cluster::Communicator& ranks_;
  cluster::Whereabouts& here_;
  Telemetry& telemetry_;
  WallTime& wall_time_;
  double tried_at_;        // the last one was started
  std::string failure_;    // of the last one; empty if it was committed
  double complain_after_;  // seconds
};

}  // namespace pathline::trainer

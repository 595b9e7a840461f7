// SPDX-License-Identifier: Apache-2.0
// Checkpoints beside training: the loop stands still while the own part of the state is copied, then a thread of every
// rank writes, checks and commits (docs/formats/checkpoint.md) while training goes on. The ranks agree over the control
// word, in some later step, that all of them are done.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "cluster/communicator.h"
#include "cluster/whereabouts.h"
#include "core/file_system.h"
#include "core/task_thread.h"
#include "trainer/checkpoint_bridge.h"
#include "trainer/memory_ledger.h"
#include "trainer/options.h"
#include "trainer/pace.h"
#include "trainer/run_directory.h"
#include "trainer/sharded_state.h"

namespace pathline::trainer {

/// How a save ended, the same on all ranks but for the seconds.
struct SaveOutcome {
  std::uint64_t step = 0;
  double stopped_seconds = 0;  // for copying, while training stood still
  double seconds = 0;          // from start() to the commit
  std::string failure;         // why there is no such checkpoint; empty if it is committed
};

/// One thread, the one that trains, calls it.
class BackgroundSaver {
 public:
  /// Staging memory for this rank's part is taken here, once. References must outlive it. `hurry` is asked on the
  /// writing thread: whether old checkpoints are left to the next start. Collective.
  BackgroundSaver(
      core::FileSystem& files, const RunDirectory& directory, const Recipe& recipe, ShardedState& state,
      const std::vector<model::NamedTensor>& parameters, const std::vector<model::NamedTensor>& buffers,
      cluster::Communicator& ranks, std::function<bool()> hurry = [] { return false; });

  /// Copies the own part of the state and returns; no other save may be under way. All ranks, in the same step.
  void start(const checkpoint::State& progress);

  /// Whether a save has been started whose outcome nobody was told yet. The same on all ranks.
  bool under_way() const { return under_way_; }

  /// For the control word that is published next: kSaving while this rank's thread is at work.
  std::uint64_t flag();
  /// What the control word says that all ranks collected: the outcome, once, in the same step on all ranks, after the
  /// last one is done. Throws AgreedError where the run directory has another owner now, and what no disk can be blamed
  /// for.
  std::optional<SaveOutcome> hear(std::uint64_t word);
  /// The same at once, for all ranks together: waits. The watchdog is told who it is that holds up the others: a rank
  /// whose own part moves, or is written, counts as getting somewhere.
  SaveOutcome wait(cluster::Whereabouts& here);

  /// Of the save under way: seconds since this rank's own writing has got anywhere; 0 while it waits for others or
  /// rests.
  double stuck_seconds() const;

  MemoryUse memory() const { return {"checkpoint", staged_.staging_bytes()}; }

 private:
  void write(const checkpoint::State& progress);
  void delete_old();
  SaveOutcome take();
  checkpoint::Collectives patient_collectives();

  core::FileSystem& files_;
  const RunDirectory& directory_;
  const CheckpointOptions& options_;
  bool rolls_back_;
  std::function<bool()> hurry_;
  ShardedState& state_;
  std::vector<checkpoint::TensorRecord> records_;
  StagedState staged_;
  Pace pace_;
  std::unique_ptr<cluster::Communicator> ranks_;  // the writing thread's

  bool under_way_ = false;
  bool announced_ = false;  // flag() was asked since start()
  double started_ = 0;
  SaveOutcome outcome_;        // the writing thread's until done_
  std::exception_ptr mishap_;  // not a matter of storage; the same
  std::atomic<bool> done_{true};
  std::atomic<bool> waiting_{false};  // for other ranks
  std::atomic<double> moved_at_{0};   // when the own writing last got anywhere
  core::TaskThread thread_;           // last: it ends before what it uses
};

}  // namespace pathline::trainer

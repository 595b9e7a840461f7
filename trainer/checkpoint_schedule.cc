// SPDX-License-Identifier: Apache-2.0
#include "trainer/checkpoint_schedule.h"

#include <utility>

#include "cluster/agree.h"
#include "cluster/control_word.h"
#include "core/log.h"
#include "core/machine.h"
#include "core/progress.h"
#include "trainer/recovery.h"

namespace pathline::trainer {
namespace {

constexpr double kRetrySeconds = 60;    // after a checkpoint that could not be written
constexpr double kFirstComplaint = 30;  // seconds without a byte written; then after twice as many

}  // namespace

CheckpointSchedule::CheckpointSchedule(BackgroundSaver& saver, const Recipe& recipe, std::string directory,
                                       std::int64_t saved_step, cluster::Communicator& ranks,
                                       cluster::Whereabouts& here, Telemetry& telemetry, WallTime& wall_time)
    : saver_(saver),
      options_(recipe.checkpoint),
      directory_(std::move(directory)),
      saved_step_(saved_step),
      ranks_(ranks),
      here_(here),
      telemetry_(telemetry),
      wall_time_(wall_time),
      tried_at_(core::monotonic_seconds()),
      complain_after_(kFirstComplaint) {}

std::uint64_t CheckpointSchedule::flags() {
  complain_if_stuck();
  const bool due = ranks_.rank() == 0 && !saver_.under_way() && due_by_clock(core::monotonic_seconds());
  return (due ? cluster::kCheckpoint : 0) | saver_.flag();
}

bool CheckpointSchedule::due_by_clock(double now) const {
  if (!failure_.empty()) return now - tried_at_ > kRetrySeconds;
  return options_.every_minutes > 0 && now - tried_at_ > options_.every_minutes * 60;
}

/// Only this rank knows; nobody waits for it yet.
void CheckpointSchedule::complain_if_stuck() {
  const double seconds = saver_.stuck_seconds();
  if (seconds < kFirstComplaint) complain_after_ = kFirstComplaint;
  if (seconds < complain_after_) return;
  complain_after_ = 2 * seconds;
  core::log_warning("rank ", ranks_.rank(), " on ", core::host_name(), " has not got anywhere for ",
                    static_cast<int>(seconds), " s with its part of a checkpoint in ", directory_,
                    " (slow or hanging storage). Training goes on until the next checkpoint is due.");
}

void CheckpointSchedule::hear(std::uint64_t word) {
  if (const auto outcome = saver_.hear(word)) note(*outcome);
}

void CheckpointSchedule::settle() {
  if (saver_.under_way()) note(saver_.wait(here_));
}

void CheckpointSchedule::write(checkpoint::State& progress) {
  if (holds(progress.step)) return;
  here_.enter(cluster::Phase::kCheckpoint, static_cast<std::int64_t>(progress.step));
  if (saver_.under_way() && ranks_.rank() == 0) {
    core::log_warning("training waits for storage: the checkpoint before that of step ", progress.step,
                      " is not written yet. Raise checkpoint.every_steps, or use faster storage for run.directory.");
  }
  settle();
  progress.saved_at = static_cast<std::int64_t>(core::wall_seconds());
  count_checkpoint(progress, options_);
  saver_.start(progress);
  saved_step_ = static_cast<std::int64_t>(progress.step);
  tried_at_ = core::monotonic_seconds();
  if (!options_.background) settle();
}

void CheckpointSchedule::write_last(checkpoint::State& progress) {
  write(progress);
  here_.enter(cluster::Phase::kCheckpoint, static_cast<std::int64_t>(progress.step));
  settle();
  if (!failure_.empty()) throw cluster::AgreedError(core::ExitCode::kEnvironment, failure_);
}

void CheckpointSchedule::note(const SaveOutcome& outcome) {
  failure_ = outcome.failure;
  if (failure_.empty()) {
    wall_time_.saved(outcome.seconds);
    telemetry_.report("checkpoint", outcome.step,
                      {{"seconds", outcome.seconds}, {"stopped_seconds", outcome.stopped_seconds}});
    return;
  }
  saved_step_ = -1;
  if (ranks_.rank() == 0) {  // before telemetry, whose files may be on the storage that fails
    core::log_error(failure_, " If training goes on, another one is tried in ", kRetrySeconds, " s or when it is due.");
  }
  tried_at_ = core::monotonic_seconds();
  telemetry_.note("save_failed", outcome.step, {{"text", failure_}});
}

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
#include "trainer/background_saver.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "cluster/agree.h"
#include "cluster/control_word.h"
#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "trainer/recovery.h"

namespace pathline::trainer {

using std::chrono::milliseconds;

BackgroundSaver::BackgroundSaver(core::FileSystem& files, const RunDirectory& directory, const Recipe& recipe,
                                 ShardedState& state, const std::vector<model::NamedTensor>& parameters,
                                 const std::vector<model::NamedTensor>& buffers, cluster::Communicator& ranks,
                                 std::function<bool()> hurry)
    : files_(files),
      directory_(directory),
      options_(recipe.checkpoint),
      rolls_back_(recipe.train.rollbacks > 0),
      hurry_(std::move(hurry)),
      state_(state),
      records_(tensor_records(state, parameters, buffers)),
      staged_(state, buffers, ranks.rank(), recipe.checkpoint.background),
      pace_(recipe.checkpoint.write_share),
      ranks_(cluster::duplicate(ranks)) {}

void BackgroundSaver::start(const checkpoint::State& progress) {
  PL_ASSERT(!under_way_);
  started_ = core::monotonic_seconds();
  state_.wait_for_all_parameters();
  staged_.copy();
  const double now = core::monotonic_seconds();
  outcome_ = {progress.step, now - started_, 0, ""};
  mishap_ = nullptr;
  under_way_ = true;
  announced_ = false;
  moved_at_.store(now);
  waiting_.store(false);
  done_.store(false);
  pace_.set_awaited(false);
  thread_.post([this, progress] { write(progress); });
}

void BackgroundSaver::write(const checkpoint::State& progress) {
  pace_.begin();
  try {
    checkpoint::save(files_, directory_.checkpoints(), progress, records_, staged_.segments(), directory_.attempt(),
                     patient_collectives(), [this] { return directory_.still_ours(); });
    if (ranks_->rank() == 0 && !hurry_()) delete_old();
  } catch (const checkpoint::LostLock& error) {  // on all ranks
    mishap_ = std::make_exception_ptr(cluster::AgreedError(error.code(), error.what()));
  } catch (const core::Error& error) {
    if (error.code() == core::ExitCode::kEnvironment) outcome_.failure = error.what();
    if (outcome_.failure.empty()) mishap_ = std::current_exception();
  } catch (...) {
    mishap_ = std::current_exception();
  }
  outcome_.seconds = core::monotonic_seconds() - started_;
  done_.store(true);
}

/// What stays is deleted after the next save; it is no reason to call this one failed.
void BackgroundSaver::delete_old() {
  const std::string directory = directory_.checkpoints();
  try {
    const auto all = checkpoint::list(files_, directory);
    std::vector<std::uint64_t> steps;
    for (const auto& listed : all) steps.push_back(listed.step);
    const auto needed = rolls_back_ ? kept_for_rollback(steps, options_) : std::vector<std::uint64_t>();
    for (const auto step : checkpoint::to_delete(all, retention_of(options_))) {
      if (std::ranges::find(needed, step) != needed.end()) continue;
      checkpoint::delete_checkpoint(files_, core::concat(directory, "/step-", step));
      moved_at_.store(core::monotonic_seconds());
    }
  } catch (const core::Error& error) {
    core::log_warning("old checkpoints in ", directory, " could not all be deleted: ", error.what(),
                      " It is tried again after the next one.");
  }
}

std::uint64_t BackgroundSaver::flag() {
  announced_ = under_way_;
  return done_.load() ? 0 : cluster::kSaving;
}

std::optional<SaveOutcome> BackgroundSaver::hear(std::uint64_t word) {
  if (!under_way_ || !announced_ || (word & cluster::kSaving) != 0) return std::nullopt;
  return take();
}

SaveOutcome BackgroundSaver::wait(cluster::Whereabouts& here) {
  PL_ASSERT(under_way_);
  pace_.set_awaited(true);
  double seen = 0;
  while (!done_.load()) {
    const double moved_at = moved_at_.load();
    if (waiting_.load() || moved_at != seen) here.progress();
    seen = moved_at;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return take();
}

SaveOutcome BackgroundSaver::take() {
  PL_ASSERT(done_.load());
  under_way_ = false;
  if (mishap_) std::rethrow_exception(mishap_);
  return outcome_;
}

double BackgroundSaver::stuck_seconds() const {
  return done_.load() || waiting_.load() ? 0.0 : core::monotonic_seconds() - moved_at_.load();
}

/// Ranks finish writing at very different times, and nobody is in a hurry. A collective's own wait looks thousands of
/// times a second: before each one the thread sleeps longer, until all ranks have come to it.
checkpoint::Collectives BackgroundSaver::patient_collectives() {
  const checkpoint::Collectives plain = collectives(*ranks_);
  const auto moved = [this] { moved_at_.store(core::monotonic_seconds()); };
  const auto meet = [this, moved] {
    waiting_.store(true);
    std::int64_t arrived = 1;
    const auto all = ranks_->start_all_reduce(std::span(&arrived, 1), cluster::Reduction::kMin);
    for (milliseconds pause(0); !all->done(); pause = std::min(pause + milliseconds(1), milliseconds(20))) {
      std::this_thread::sleep_for(pause);
    }
    moved();
    waiting_.store(false);
    pace_.begin();
  };
  checkpoint::Collectives patient = plain;
  patient.progress = [this, moved] { pace_.rest(), moved(); };
  patient.barrier = [plain, meet] { meet(), plain.barrier(); };
  patient.broadcast = [plain, meet](const std::string& text) { return meet(), plain.broadcast(text); };
  patient.gather = [plain, meet](const std::string& text) { return meet(), plain.gather(text); };
  return patient;
}

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
#include "cluster/watchdog.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
#include <span>

#include "cluster/exit_deadline.h"
#include "core/error.h"
#include "core/log.h"
#include "core/machine.h"

namespace pathline::cluster {
namespace {

constexpr double kHeartbeatSeconds = 5;
constexpr double kHeartbeatsASecond = 100;  // over all ranks, for the metadata server of shared storage

std::chrono::duration<double> of_seconds(double seconds) { return std::chrono::duration<double>(seconds); }

std::vector<RankName> gather_names(Communicator& ranks) {
  struct Fixed {
    std::array<char, 120> host{};
    std::int64_t pid = 0;
  };
  Fixed mine;
  const std::string host = core::host_name();
  std::copy_n(host.begin(), std::min(host.size(), mine.host.size() - 1), mine.host.begin());
  mine.pid = ::getpid();
  std::vector<Fixed> all(static_cast<std::size_t>(ranks.size()));
  ranks.all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(all)));
  std::vector<RankName> names;
  for (const Fixed& one : all) names.push_back({one.host.data(), static_cast<int>(one.pid)});
  return names;
}

double interval_for(const Deadlines& deadlines) {
  return deadlines.watched() ? std::clamp(deadlines.step / 20, 0.01, 1.0) : 1.0;
}

double slow_window_for(const Deadlines& deadlines) { return deadlines.watched() ? deadlines.step / 60 : 10; }

/// The log is no reason not to end.
void append_to_log(const std::string& file, const std::string& text) try {
  core::append_to_log_file(file, core::LogLevel::kError, text);
} catch (const core::Error& error) {
  core::log_warning(error.what());
}

}  // namespace

Watchdog::Watchdog(Communicator& ranks, const Deadlines& deadlines)
    : ranks_(duplicate(ranks)),
      rank_(ranks.rank()),
      last_(ranks.size() - 1),
      exceptions_(std::uncaught_exceptions()),
      deadlines_(deadlines),
      interval_(interval_for(deadlines)),
      names_(gather_names(ranks)),
      last_look_(core::monotonic_seconds()),
      sightings_(names_.size()),
      sending_(names_.size()),
      slow_(names_.size(), slow_window_for(deadlines)) {
  thread_ = std::thread([this] { run(); });
}

Watchdog::~Watchdog() {
  const bool unwinding = std::uncaught_exceptions() > exceptions_;
  if (!unwinding) here_.enter(Phase::kEnd);
  heartbeat_.reset();
  {
    const std::lock_guard lock(mutex_);
    ending_ = unwinding ? Ending::kAtOnce : Ending::kTogether;
  }
  ends_.notify_all();
  thread_.join();
}

void Watchdog::write_below(core::FileSystem& files, const std::string& directory) {
  {
    const std::lock_guard lock(mutex_);
    log_file_ = core::join_path(directory, "log.txt");
  }
  const double every = std::max(kHeartbeatSeconds, static_cast<double>(names_.size()) / kHeartbeatsASecond);
  heartbeat_ = std::make_unique<Heartbeat>(
      files, core::concat(directory, "/heartbeats/rank-", rank_), [this] { return heartbeat(); },
      std::chrono::duration_cast<std::chrono::milliseconds>(of_seconds(every)));
}

std::string Watchdog::heartbeat() const {
  const RankRecord record = here_.record();
  std::array<char, 64> time{};
  std::snprintf(time.data(), time.size(), "%.3f", core::wall_seconds());
  return core::concat("{\"rank\":", rank_, ",\"ranks\":", names_.size(), ",\"host\":\"", names_[rank_].host, "\",\"pid\":",
                      names_[rank_].pid, ",\"step\":", record.step, ",\"phase\":\"", name_of(record.phase),
                      "\",\"collective\":", record.collective, ",\"progress\":", record.progress, ",\"time\":", time.data(),
                      "}\n");
}

void Watchdog::run() try {
  watch();
} catch (const core::Error& error) {
  // Between threads: this rank or another gave up, and the training threads know. Over MPI nobody else would.
  if (error.code() != core::ExitCode::kRankLost) end_all(core::concat("the watchdog cannot go on: ", error.what()));
}

void Watchdog::watch() {
  std::unique_lock lock(mutex_);
  while (ending_ == Ending::kNone) {
    lock.unlock();
    tick();
    lock.lock();
    ends_.wait_for(lock, of_seconds(interval_), [this] { return ending_ != Ending::kNone; });
  }
  const Ending ending = ending_;
  lock.unlock();
  if (ending == Ending::kTogether) return close();
  for (auto& request : sending_) static_cast<void>(request.release());  // to wait for it could be for ever
}

/// Nobody stops watching before all have come to their end, nor leaves before all messages have been taken.
void Watchdog::close() {
  constexpr auto kPause = std::chrono::milliseconds(1);
  const auto wait_for_all = [&](const auto& meanwhile) {
    std::int64_t nothing = 0;
    const auto all_came = ranks_->start_all_reduce(std::span(&nothing, 1), Reduction::kMax);
    for (; !all_came->done(); std::this_thread::sleep_for(kPause)) meanwhile();
  };
  wait_for_all([&] {
    if (core::monotonic_seconds() - last_look_ > interval_) tick();
  });
  const auto all_taken = [&] {
    return std::all_of(sending_.begin(), sending_.end(), [](auto& request) { return !request || request->done(); });
  };
  for (; !all_taken(); std::this_thread::sleep_for(kPause)) take_records();
  wait_for_all([&] { take_records(); });
}

void Watchdog::tick() {
  const double look = core::monotonic_seconds();
  now_ += std::min(look - last_look_, 4 * interval_);  // time that this thread slept through does not count
  last_look_ = look;
  send_record();
  take_records();
  judge();
  if (rank_ == 0) look_for_slow_ranks();
}

/// The newest record to each judge that has taken the one before.
void Watchdog::send_record() {
  const RankRecord record = here_.record();
  note(rank_, record);
  for (const int judge : {0, last_}) {
    if (judge == rank_ || (sending_[judge] && !sending_[judge]->done())) continue;
    sending_[judge] = ranks_->start_send(std::as_bytes(std::span(&record, 1)), judge);
  }
}

void Watchdog::take_records() {
  RankRecord record;
  while (const auto from = ranks_->receive_arrived(std::as_writable_bytes(std::span(&record, 1)))) note(*from, record);
}

void Watchdog::note(int rank, const RankRecord& record) {
  if (record.ends_all) spoken_ = true;
  Sighting& last = sightings_[rank];
  if (record.progress != last.record.progress) last.progress_at = now_;
  last.heard_at = now_;
  last.record = record;
}

void Watchdog::judge() {
  if (!deadlines_.watched()) return;
  const double waited = now_ - sightings_[rank_].progress_at;
  if (waited > deadlines_.without_judge()) {
    end_all(core::concat("this rank has been in ", place_of(sightings_[rank_].record), " for ", static_cast<int>(waited),
                         " s, and neither rank 0 nor rank ", last_, " has ended the job: both must be stuck or lost"));
  }
  if (spoken_ || (rank_ != 0 && rank_ != last_)) return;
  Deadlines deadlines = deadlines_;
  if (rank_ != 0) deadlines.step += 4 * interval_;  // the first judge speaks first
  if (const auto verdict = find_missing(sightings_, deadlines, now_)) {
    end_all(describe(*verdict, sightings_, names_, now_));
  }
}

void Watchdog::look_for_slow_ranks() {
  std::vector<RankRecord> records;
  for (const Sighting& last : sightings_) records.push_back(last.record);
  for (const auto& slow : slow_.look(records, now_)) {
    core::log_warning("rank ", slow.rank, " (pid ", names_[slow.rank].pid, " on ", names_[slow.rank].host, ") ",
                      cluster::describe(slow), ". All ranks go at its pace: look at its host.");
  }
}

void Watchdog::end_all(const std::string& why) {
  constexpr int kCode = static_cast<int>(core::ExitCode::kRankLost);
  const std::string text = core::concat("hang: ", why, ". All ranks end with code ", kCode,
                                        "; started again, the run goes on from its newest checkpoint (docs/clusters.md).");
  const ExitDeadline deadline(kLongestEnding, kCode, text + "\n");
  if (rank_ == 0 && last_ != 0) {
    RankRecord record = here_.record();
    record.ends_all = true;
    static_cast<void>(ranks_->start_send(std::as_bytes(std::span(&record, 1)), last_).release());
  }
  core::log_error(text);
  std::string log_file;
  {
    const std::lock_guard lock(mutex_);
    if (rank_ != 0) log_file = log_file_;
  }
  if (!log_file.empty()) append_to_log(log_file, text);
  ranks_->abort(kCode);
}

}  // namespace pathline::cluster

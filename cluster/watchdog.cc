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
    : rank_(ranks.rank()),
      last_(ranks.size() - 1),
      exceptions_(std::uncaught_exceptions()),
      deadlines_(deadlines),
      interval_(interval_for(deadlines)),
      names_(gather_names(ranks)),
      slow_(names_.size(), slow_window_for(deadlines)) {
  exchange_.emplace(ranks, here_, interval_);
  thread_ = std::thread([this] { keep_watch(); });
}

Watchdog::~Watchdog() {
  if (std::uncaught_exceptions() == exceptions_) here_.enter(Phase::kEnd);
  heartbeat_.reset();
  exchange_->close();
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
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
  return core::concat("{\"rank\":", rank_, ",\"ranks\":", names_.size(), ",\"host\":\"", names_[rank_].host,
                      "\",\"pid\":", names_[rank_].pid, ",\"step\":", record.step, ",\"phase\":\"",
                      name_of(record.phase), "\",\"collective\":", record.collective, ",\"progress\":", record.progress,
                      ",\"time\":", time.data(), "}\n");
}

void Watchdog::keep_watch() try {
  double last_look = core::monotonic_seconds();
  std::unique_lock lock(mutex_);
  while (!ended_) {
    lock.unlock();
    const double look = core::monotonic_seconds();
    now_ += std::min(look - last_look, 4 * interval_);  // time that this thread slept through does not count
    last_look = look;
    view_ = exchange_->look(now_);
    if (deadlines_.watched()) judge();
    if (rank_ == 0) look_for_slow_ranks();
    lock.lock();
    ends_.wait_for(lock, of_seconds(interval_), [this] { return ended_; });
  }
} catch (const core::Error& error) {
  PL_ASSERT(error.code() == core::ExitCode::kRankLost);  // between threads: the end of all has begun
}

void Watchdog::judge() {
  const double waited = now_ - view_.ranks[rank_].progress_at;
  if (waited > deadlines_.without_judge()) {
    end_all(core::concat("this rank has been in ", place_of(view_.ranks[rank_].record), " for ",
                         static_cast<int>(waited), " s, and neither rank 0 nor rank ", last_,
                         " has ended the job: both must be stuck or lost"));
  }
  if (view_.spoken || (rank_ != 0 && rank_ != last_)) return;
  Deadlines deadlines = deadlines_;
  if (rank_ != 0) deadlines.step += 4 * interval_;  // the first judge speaks first
  const bool deaf = now_ - view_.talked_at > deadlines.step / 2;
  if (deaf) {  // then silence says nothing about the others
    for (Sighting& last : view_.ranks) last.heard_at = now_;
  }
  if (const auto verdict = find_missing(view_.ranks, deadlines, now_)) {
    end_all(
        (deaf ? core::concat("rank ", rank_, " itself is stuck inside MPI; when it last heard of the others: ") : "") +
        describe(*verdict, view_.ranks, names_, now_));
  }
}

void Watchdog::look_for_slow_ranks() {
  std::vector<RankRecord> records;
  for (const Sighting& last : view_.ranks) records.push_back(last.record);
  for (const auto& slow : slow_.look(records, now_)) {
    core::log_warning("rank ", slow.rank, " (pid ", names_[slow.rank].pid, " on ", names_[slow.rank].host, ") ",
                      cluster::describe(slow), ". All ranks go at its pace: look at its host.");
  }
}

void Watchdog::end_all(const std::string& why) {
  constexpr int kCode = static_cast<int>(core::ExitCode::kRankLost);
  const std::string text =
      core::concat("hang: ", why, ". All ranks end with code ", kCode,
                   "; started again, the run goes on from its newest checkpoint (docs/clusters.md).");
  const ExitDeadline deadline(kLongestEnding, kCode, text + "\n");
  if (rank_ == 0 && last_ != 0) exchange_->tell_end();
  core::log_error(text);
  std::string log_file;
  {
    const std::lock_guard lock(mutex_);
    if (rank_ != 0) log_file = log_file_;
  }
  if (!log_file.empty()) append_to_log(log_file, text);
  exchange_->abort(kCode);
}

}  // namespace pathline::cluster

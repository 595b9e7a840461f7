// SPDX-License-Identifier: Apache-2.0
#include "cluster/record_exchange.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <span>

#include "core/error.h"
#include "core/log.h"
#include "core/machine.h"

namespace pathline::cluster {
namespace {

constexpr auto kLongestTelling = std::chrono::milliseconds(300);

std::span<const std::byte> bytes_of(const RankRecord& record) { return std::as_bytes(std::span(&record, 1)); }

}  // namespace

RecordExchange::RecordExchange(Communicator& ranks, const Whereabouts& here, double interval)
    : ranks_(duplicate(ranks)),
      here_(here),
      interval_(interval),
      exceptions_(std::uncaught_exceptions()),
      last_(ranks.size() - 1),
      sending_(static_cast<std::size_t>(ranks.size())) {
  view_.ranks.resize(sending_.size());
  thread_ = std::thread([this] { run(); });
}

RecordExchange::~RecordExchange() { close(); }

void RecordExchange::close() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = std::uncaught_exceptions() > exceptions_ ? Ending::kAtOnce : Ending::kTogether;
  }
  changed_.notify_all();
  thread_.join();
}

RecordExchange::View RecordExchange::look(double now) {
  const std::lock_guard lock(mutex_);
  now_ = now;
  note(ranks_->rank(), here_.record());
  return view_;
}

void RecordExchange::tell_end() {
  std::unique_lock lock(mutex_);
  ends_all_ = true;
  changed_.notify_all();
  changed_.wait_for(lock, kLongestTelling, [this] { return told_; });
}

void RecordExchange::abort(int exit_code) {
  ranks_->abort(exit_code);
  std::terminate();  // not reached; GCC does not believe [[noreturn]] of a virtual function
}

void RecordExchange::run() try {
  std::unique_lock lock(mutex_);
  while (ending_ == Ending::kNone) {
    lock.unlock();
    round();
    lock.lock();
    changed_.wait_for(lock, std::chrono::duration<double>(interval_),
                      [this] { return ending_ != Ending::kNone || (ends_all_ && !told_); });
  }
  const Ending ending = ending_;
  lock.unlock();
  if (ending == Ending::kTogether) return finish();
  for (auto& request : sending_) static_cast<void>(request.release());  // to wait for it could be for ever
} catch (const core::Error& error) {
  // Between threads: this rank or another gave up, and the training threads know. Over MPI nobody else would.
  if (error.code() == core::ExitCode::kRankLost) return;
  core::log_error("records no longer reach the other ranks: ", error.what());
  abort(static_cast<int>(core::ExitCode::kRankLost));
}

/// Nobody stops watching before all have come to their end, nor leaves before all messages have been taken.
void RecordExchange::finish() {
  constexpr auto kPause = std::chrono::milliseconds(1);
  const auto wait_for_all = [&](const auto& meanwhile) {
    std::int64_t nothing = 0;
    const auto all_came = ranks_->start_all_reduce(std::span(&nothing, 1), Reduction::kMax);
    for (; !all_came->done(); std::this_thread::sleep_for(kPause)) meanwhile();
  };
  double last_round = 0;
  wait_for_all([&] {
    if (core::monotonic_seconds() - last_round < interval_) return;
    last_round = core::monotonic_seconds();
    round();
  });
  const auto all_taken = [&] {
    return std::all_of(sending_.begin(), sending_.end(), [](auto& request) { return !request || request->done(); });
  };
  for (; !all_taken(); std::this_thread::sleep_for(kPause)) take_records();
  wait_for_all([&] { take_records(); });
}

void RecordExchange::round() {
  const bool told = send_record();
  take_records();
  const std::lock_guard lock(mutex_);
  view_.talked_at = now_;
  told_ = told;
  changed_.notify_all();
}

/// The newest record to each judge that has taken the one before. True if it tells that this rank ends all.
bool RecordExchange::send_record() {
  RankRecord record = here_.record();
  {
    const std::lock_guard lock(mutex_);
    record.ends_all = ends_all_;
  }
  for (const int judge : {0, last_}) {
    if (judge == ranks_->rank() || (sending_[judge] && !sending_[judge]->done() && !record.ends_all)) continue;
    if (record.ends_all) static_cast<void>(sending_[judge].release());  // this one does not wait for the one before
    sending_[judge] = ranks_->start_send(bytes_of(record), judge);
  }
  return record.ends_all;
}

void RecordExchange::take_records() {
  RankRecord record;
  while (const auto from = ranks_->receive_arrived(std::as_writable_bytes(std::span(&record, 1)))) {
    const std::lock_guard lock(mutex_);
    note(*from, record);
  }
}

void RecordExchange::note(int rank, const RankRecord& record) {
  view_.spoken = view_.spoken || record.ends_all;
  Sighting& last = view_.ranks[rank];
  if (record.progress != last.record.progress) last.progress_at = now_;
  last.heard_at = now_;
  last.record = record;
}

}  // namespace pathline::cluster

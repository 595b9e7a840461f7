// SPDX-License-Identifier: Apache-2.0
// How the threads of thread_communicator.cc wait for each other; no other file uses it.
// Note [Meetings]
// A collective is a meeting: each rank shows a pointer to its arguments, all wait until all have
// come, each reads what it needs from the others' arguments, all wait until all have read. The first
// wait can be broken off when a rank fails. The second cannot: its members still read each other's
// memory, and since all of them have come, all will leave.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/error.h"

namespace pathline::cluster {

/// What all threads of one run share, whatever communicators they split off: one lock, and who failed or ended.
struct Hub {
  explicit Hub(int ranks) : ended(ranks, false) {}

  std::mutex mutex;
  std::condition_variable changed;
  std::exception_ptr failure;  // the first one
  std::vector<bool> ended;     // by rank of the whole run

  void fail(std::exception_ptr error) {
    const std::lock_guard lock(mutex);
    if (!failure) failure = error;
    changed.notify_all();
  }
  void end(int rank) {
    const std::lock_guard lock(mutex);
    ended[rank] = true;
    changed.notify_all();
  }
};

/// A non-blocking all-reduce under way; complete when all parts are there.
struct Pending {
  std::vector<std::vector<std::int64_t>> parts;
  std::size_t arrived = 0;
  std::size_t collected = 0;
};

/// A message on its way to one rank.
struct Letter {
  int from;
  std::vector<std::byte> text;
  std::shared_ptr<bool> taken;  // guarded by the hub's mutex
};

/// One communicator's shared side. Everything is guarded by the hub's mutex, except that `shown` may be read by every
/// member between the two waits of a meeting.
struct Group {
  Group(std::shared_ptr<Hub> hub, std::vector<int> members)
      : hub(std::move(hub)),
        members(std::move(members)),
        shown(this->members.size()),
        cancelled(this->members.size()),
        letters(this->members.size()) {}

  std::shared_ptr<Hub> hub;
  std::vector<int> members;  // their ranks in the whole run
  std::vector<const void*> shown;
  std::vector<bool> cancelled;  // by rank
  std::size_t inside = 0;
  std::uint64_t begun = 0;  // meetings that all have come to
  std::uint64_t ended = 0;  // meetings that all have left
  std::map<std::uint64_t, Pending> pending;
  std::vector<std::deque<Letter>> letters;  // by receiver

  std::size_t size() const { return members.size(); }

  bool member_ended() const {
    return std::any_of(members.begin(), members.end(), [&](int m) { return hub->ended[m]; });
  }

  /// Waits for `ready` with the lock held, unless a rank fails first or one that has ended is waited for.
  template <class Ready>
  void wait(std::unique_lock<std::mutex>& lock, const Ready& ready) {
    hub->changed.wait(lock, [&] { return ready() || hub->failure || member_ended(); });
    if (!ready()) throw_lost();
  }

  /// With the lock held: what is waited for will never come.
  [[noreturn]] void throw_lost() {
    const core::Error error(core::ExitCode::kRankLost,
                            core::concat("Another rank ", hub->failure ? "failed" : "ended",
                                         " while this one waits for it in a collective. Look at "
                                         "the other rank's message."));
    if (!hub->failure) hub->failure = std::make_exception_ptr(error);
    throw error;
  }
};

/// Coming to and leaving one meeting; see Note [Meetings].
class Meeting {
 public:
  Meeting(Group& group, int rank, const void* shown) : group_(group) {
    std::unique_lock lock(group_.hub->mutex);
    PL_CHECK(!group_.hub->failure, core::ExitCode::kRankLost,
             "Another rank failed before this collective. Look at the other rank's message.");
    PL_CHECK(!group_.cancelled[rank], core::ExitCode::kRankLost, "This rank has given up all collectives.");
    const std::uint64_t meeting = group_.begun;
    group_.shown[rank] = shown;
    if (++group_.inside == group_.size()) {
      ++group_.begun;
      group_.hub->changed.notify_all();
      return;
    }
    group_.wait(lock, [&] { return group_.begun != meeting || group_.cancelled[rank]; });
    if (group_.begun == meeting) --group_.inside;  // the others must not find our arguments
    PL_CHECK(group_.begun != meeting, core::ExitCode::kRankLost, "This rank has given up a collective.");
  }

  ~Meeting() {
    std::unique_lock lock(group_.hub->mutex);
    const std::uint64_t meeting = group_.ended;
    if (--group_.inside == 0) {
      ++group_.ended;
      group_.hub->changed.notify_all();
      return;
    }
    group_.hub->changed.wait(lock, [&] { return group_.ended != meeting; });
  }

  Meeting(const Meeting&) = delete;
  Meeting& operator=(const Meeting&) = delete;

  template <class T>
  const T& of(int rank) const {
    return *static_cast<const T*>(group_.shown[rank]);
  }

 private:
  Group& group_;
};

}  // namespace pathline::cluster

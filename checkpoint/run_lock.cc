// SPDX-License-Identifier: Apache-2.0
// Taking, keeping and releasing the run lock; each numbered step is one of docs/formats/run-lock.md.
#include "checkpoint/run_lock.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <span>
#include <thread>
#include <utility>

#include "checkpoint/lock_file.h"
#include "core/error.h"
#include "core/log.h"

namespace pathline::checkpoint {
namespace {

using core::ExitCode;

constexpr int kStillIntervals = 3;
constexpr int kLooksAnInterval = 2;
constexpr int kMovesOfTheLiving = 2;
constexpr double kLongestInterval = 60.0;  // what a foreign file may make us wait

/// Two candidates of one process need names of their own.
std::string candidate_path(const std::string& directory, const LockSurroundings& us) {
  static std::atomic<std::uint64_t> candidates = 0;
  return core::join_path(directory, core::concat("lock.", us.host, ".", us.pid, ".", ++candidates, ".tmp"));
}

/// What lies at the top of the directory.
struct Top {
  std::uint64_t number = 0;
  std::string text;
  bool operator==(const Top&) const = default;
};

/// How long an owner has been seen not to move. Storage that stalls holds up its heartbeat as it holds up our look, and
/// we may be suspended: of the time that passed until a look was done, an interval counts at most.
class Stillness {
 public:
  explicit Stillness(double interval) : interval_(interval) {}
  void seen_for(double seconds) {
    ++looks_;
    seconds_ += std::min(seconds, interval_);
  }
  bool long_enough() const {
    return looks_ >= kStillIntervals * kLooksAnInterval && seconds_ >= kStillIntervals * interval_;
  }

 private:
  double interval_, seconds_ = 0;
  int looks_ = 0;
};

class Taking {
 public:
  Taking(core::FileSystem& files, const std::string& directory, double heartbeat, const LockSurroundings& us)
      : files_(files),
        directory_(directory),
        heartbeat_(heartbeat),
        us_(us),
        candidate_(candidate_path(directory, us)) {}
  ~Taking() {
    try {
      files_.remove(candidate_);
    } catch (const core::Error& error) {
      core::log_warning("a left-over of the run lock stays: ", error.what());
    }
  }

  LockContent run() {
    LockContent mine = ourselves();
    for (;;) {
      const Top top = look();
      if (top.number > 0 && !may_take(top)) continue;  // somebody else was faster
      mine.attempt = top.number + 1;
      write_candidate(lock_text(mine));
      if (!link_candidate(mine.attempt)) continue;
      files_.sync_directory(directory_);
      if (highest_lock(files_, directory_) == mine.attempt) break;
      files_.remove(lock_path(directory_, mine.attempt));
    }
    remove_former_locks(files_, directory_, mine.attempt);
    return mine;
  }

 private:
  LockContent ourselves() const {
    return {
        0,       false,         0, heartbeat_, us_.slurm_job, us_.slurm_restart, us_.host, us_.boot, us_.pid_namespace,
        us_.pid, us_.start_time};
  }

  void write_candidate(const std::string& text) {
    files_.remove(candidate_);  // not truncated: a former link shares its content
    const auto file = files_.create(candidate_);
    file->append(std::as_bytes(std::span(text)));
    file->sync();
    file->close();
  }

  /// False where a rival was faster. It may have removed our candidate, too, with those of the dead.
  bool link_candidate(std::uint64_t attempt) {
    try {
      return files_.link(candidate_, lock_path(directory_, attempt));
    } catch (const core::Error&) {
      if (files_.exists(candidate_)) throw;
      return false;
    }
  }

  /// Writing the candidate first changes the directory, so that NFS clients drop what they remember of it.
  Top look() {
    write_candidate("");
    for (;;) {
      const std::uint64_t number = highest_lock(files_, directory_);
      if (number == 0) return {};
      try {
        return {number, core::read_text(files_, lock_path(directory_, number))};
      } catch (const core::Error&) {
        if (highest_lock(files_, directory_) == number) throw;
      }
    }
  }

  /// True: take over `top`. False: there is another top by now. Throws: its owner lives.
  bool may_take(Top top) {
    const std::uint64_t number = top.number;
    const auto owner = parse_lock(top.text);
    if (owner && ended(*owner, us_)) return true;
    const double theirs = owner ? std::min(owner->heartbeat_seconds, kLongestInterval) : 0.0;
    const double interval = std::max(heartbeat_, theirs);
    core::log_info(lock_path(directory_, number), " belongs to ", description_of(owner), "; watching whether it lives");
    Stillness still(interval);
    for (int moves = 0; !still.long_enough();) {
      const double before = us_.seconds();
      us_.sleep(interval / kLooksAnInterval);
      const Top now = look();
      if (now.number != number) return false;
      if (const auto content = parse_lock(now.text); content && ended(*content, us_)) return true;
      if (now == top) {
        still.seen_for(us_.seconds() - before);
        continue;
      }
      top = now;
      still = Stillness(interval);
      PL_CHECK(++moves < kMovesOfTheLiving, ExitCode::kEnvironment, "the run in ", directory_, " is being written by ",
               description_of(owner),
               " (two jobs must not write one run). Wait for it, stop it, or choose another "
               "run.directory.");
    }
    return true;
  }

  core::FileSystem& files_;
  const std::string& directory_;
  double heartbeat_;
  const LockSurroundings& us_;
  std::string candidate_;
};

}  // namespace

struct RunLock::Impl {
  core::FileSystem& files;
  std::string directory;
  double heartbeat;
  std::mutex mutex;  // of `content` and the file
  LockContent content;
  std::mutex stop_mutex;
  std::condition_variable stop_changed;
  bool stop = false;
  std::thread thread;

  Impl(core::FileSystem& file_system, const std::string& path, double heartbeat_seconds, const LockSurroundings& us)
      : files(file_system),
        directory(path),
        heartbeat(heartbeat_seconds),
        content(Taking(files, directory, heartbeat, us).run()),
        thread([this] { beat_until_stopped(); }) {}

  ~Impl() {
    {
      const std::lock_guard guard(stop_mutex);
      stop = true;
    }
    stop_changed.notify_all();
    thread.join();
    try {
      write(true);
    } catch (const std::exception& error) {
      core::log_warning("the run lock could not be released, the next start will find it stale: ", error.what());
    }
  }

  bool ours() { return highest_lock(files, directory) == content.attempt; }

  /// False if the lock has another owner.
  bool write(bool released) {
    const std::lock_guard guard(mutex);
    if (!ours()) return false;
    content.released = released;
    ++content.counter;
    core::replace_file(files, lock_path(directory, content.attempt), lock_text(content));
    return true;
  }

  void beat_until_stopped() {
    std::unique_lock guard(stop_mutex);
    while (!stop_changed.wait_for(guard, std::chrono::duration<double>(heartbeat), [this] { return stop; })) {
      guard.unlock();
      const bool going_on = try_to_beat();
      guard.lock();
      if (!going_on) return;
    }
  }

  bool try_to_beat() {
    try {
      if (write(false)) return true;
      core::log_error("the run lock of ", directory, " was taken over by another job; this one commits no more");
      return false;
    } catch (const std::exception& error) {
      core::log_warning("heartbeat of the run lock: ", error.what());
      return true;
    }
  }
};

RunLock::RunLock(core::FileSystem& files, const std::string& directory, double heartbeat_seconds,
                 const LockSurroundings& us) {
  core::make_durable_directory(files, directory);
  impl_ = std::make_unique<Impl>(files, directory, heartbeat_seconds, us);
}

RunLock::~RunLock() = default;
std::uint64_t RunLock::attempt() const { return impl_->content.attempt; }
bool RunLock::still_ours() const { return impl_->ours(); }
void RunLock::beat() { impl_->write(false); }

}  // namespace pathline::checkpoint

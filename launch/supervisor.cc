// SPDX-License-Identifier: Apache-2.0
#include "launch/supervisor.h"

#include <signal.h>
#include <time.h>

#include <charconv>
#include <cmath>
#include <exception>
#include <optional>
#include <vector>

#include "core/error.h"
#include "core/log.h"
#include "core/machine.h"
#include "launch/job_process.h"

namespace pathline::launch {
namespace {

constexpr double kLook = 0.05;     // seconds between looks at a run that cannot take signals yet
constexpr double kOneRequest = 1;  // the terminal and a batch system may both deliver one request

class Supervisor {
 public:
  Supervisor(core::FileSystem& files, const SupervisedRun& run) : files_(files), run_(run) {
    sigemptyset(&signals_);
    for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGCHLD}) sigaddset(&signals_, signal);
    ::sigprocmask(SIG_BLOCK, &signals_, nullptr);
  }

  int operator()() {
    for (;;) {
      const Attempt attempt = run_once();
      const Verdict verdict = judge(attempt, run_.patience, restarts_);
      core::log_info(verdict.words);
      if (!verdict.again) return verdict.code;
      if (!wait(verdict.wait_seconds)) {
        core::log_info("asked to stop before the restart: nothing runs");
        return static_cast<int>(core::ExitCode::kStopped);
      }
    }
  }

 private:
  Attempt run_once() {
    Attempt attempt;
    const std::optional<std::int64_t> before = newest();
    JobProcess job(run_.command, {"PATHLINE_RESTART=" + std::to_string(restarts_.all)}, run_.ranks);
    std::vector<int> waiting;  // signals for a run that is not ready
    while (!job.ended()) {
      if (const int signal = take_signal(waiting.empty() ? INFINITY : kLook); signal > 0 && signal != SIGCHLD) {
        waiting.push_back(translated(signal));
      }
      if (waiting.empty() || (waiting.back() != SIGTERM && !job.ready())) continue;
      for (const int signal : waiting) job.send(signal);
      waiting.clear();
    }
    attempt.code = *job.ended();
    const std::optional<std::int64_t> after = newest();
    attempt.step_after = newest_known_;
    attempt.step_before = before && after ? *before : newest_known_;  // what is not known is no progress
    attempt.asked_to_stop = stops_ > 0;
    return attempt;
  }

  /// Nothing where the storage does not say: it may be back when the run is started again, and until then waits grow.
  std::optional<std::int64_t> newest() {
    try {
      newest_known_ = newest_checkpoint(files_, run_.checkpoints);
      return newest_known_;
    } catch (const std::exception& error) {
      core::log_warning(error.what(), " So it is not known whether the run has got further, which counts as no ",
                        "progress; the newest checkpoint that is known is ",
                        newest_known_ < 0 ? "none" : core::concat("that of step ", newest_known_), ".");
      return std::nullopt;
    }
  }

  /// Counts requests to stop and says what each does; returns what the ranks get.
  int translated(int signal) {
    if (signal == SIGUSR1) return SIGUSR1;
    const double now = core::monotonic_seconds();
    if (stops_ > 0 && now - last_stop_ < kOneRequest) return SIGUSR2;
    last_stop_ = now;
    if (++stops_ == 1)
      core::log_info("asked to stop: a checkpoint is written first; once more: hurry; a third time: end at once");
    else if (stops_ == 2)
      core::log_info("asked to stop again: what can wait is left out");
    else
      core::log_warning("asked to stop for the third time: the ranks are ended without a new checkpoint");
    return stops_ > 2 ? SIGTERM : SIGUSR2;
  }

  /// The next signal, 0 if none comes in time.
  int take_signal(double seconds) const {
    if (seconds == INFINITY) {
      const int signal = ::sigwaitinfo(&signals_, nullptr);
      return signal > 0 ? signal : 0;
    }
    const timespec limit = {static_cast<time_t>(seconds), static_cast<long>(std::fmod(seconds, 1) * 1e9)};
    const int signal = ::sigtimedwait(&signals_, nullptr, &limit);
    return signal > 0 ? signal : 0;
  }

  /// False if it was asked to stop meanwhile.
  bool wait(double seconds) {
    const double end = core::monotonic_seconds() + seconds;
    for (double left = seconds; left > 0; left = end - core::monotonic_seconds()) {
      const int signal = take_signal(left);
      if (signal != 0 && signal != SIGCHLD && signal != SIGUSR1) return false;
    }
    return true;
  }

  core::FileSystem& files_;
  const SupervisedRun& run_;
  sigset_t signals_;
  Restarts restarts_;
  std::int64_t newest_known_ = -1;  // step of a checkpoint
  int stops_ = 0;
  double last_stop_ = 0;
};

}  // namespace

std::int64_t newest_checkpoint(core::FileSystem& files, const std::string& checkpoints) {
  std::int64_t newest = -1;
  if (!files.is_directory(checkpoints)) return newest;
  for (const auto& name : files.list(checkpoints)) {
    std::int64_t step = -1;
    const char* end = name.data() + name.size();
    if (!name.starts_with("step-") || std::from_chars(name.data() + 5, end, step).ptr != end) continue;
    if (step > newest && files.exists(core::join_path(checkpoints, name + "/manifest.json"))) newest = step;
  }
  return newest;
}

int supervise(core::FileSystem& files, const SupervisedRun& run) { return Supervisor(files, run)(); }

}  // namespace pathline::launch

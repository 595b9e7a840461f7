// SPDX-License-Identifier: Apache-2.0
#include "launch/verdict.h"

#include <signal.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/text.h"

namespace pathline::launch {
namespace {

using core::ExitCode;

constexpr double kLongestWait = 60;

std::string place(std::int64_t step) {
  return step < 0 ? "there is no checkpoint yet" : core::concat("the newest checkpoint is that of step ", step);
}

Verdict end(int code, const std::string& words) { return {false, code, 0, words}; }

/// A request to stop that came before a rank could act on it kills it: nothing was begun.
bool stopped_before_it_began(const Attempt& attempt) { return attempt.asked_to_stop && attempt.code == 128 + SIGUSR2; }

}  // namespace

bool is_final(int code) {
  const auto codes = {ExitCode::kFinished,    ExitCode::kUsage,      ExitCode::kInput,
                      ExitCode::kEnvironment, ExitCode::kNoProgress, ExitCode::kNumerical};
  return std::ranges::any_of(codes, [code](ExitCode known) { return static_cast<int>(known) == code; });
}

std::string code_in_words(int code) {
  const auto words = [code]() -> std::string {
    switch (static_cast<ExitCode>(code)) {
      case ExitCode::kFinished:
        return "finished";
      case ExitCode::kInternal:
        return "an error of the program or its launcher";
      case ExitCode::kUsage:
        return "command line or recipe";
      case ExitCode::kInput:
        return "input data unusable";
      case ExitCode::kEnvironment:
        return "environment unusable";
      case ExitCode::kStopped:
        return "stopped on request, checkpoint written";
      case ExitCode::kNoProgress:
        return "no progress over repeated starts";
      case ExitCode::kNumerical:
        return "numbers stopped being finite";
      case ExitCode::kRankLost:
        return "a rank hung or was lost";
    }
    return code > 128 ? core::concat("killed by signal ", code - 128) : "not one of Pathline's codes";
  };
  return core::concat(code, " (", words(), ")");
}

Verdict judge(const Attempt& attempt, const Patience& patience, Restarts& restarts) {
  const std::string ended = "the run ended with " + code_in_words(attempt.code);
  if (stopped_before_it_began(attempt)) {
    return end(static_cast<int>(ExitCode::kStopped), "asked to stop before it had begun; " + place(attempt.step_after));
  }
  if (attempt.asked_to_stop) return end(attempt.code, ended + " after it was asked to stop");
  if (is_final(attempt.code)) return end(attempt.code, ended);
  if (!patience.restart) return end(attempt.code, ended + "; start it again, or use --restart");
  if (patience.max_restarts > 0 && restarts.all >= patience.max_restarts) {
    return end(attempt.code, core::concat(ended, "; all --max-restarts ", patience.max_restarts, " are used up"));
  }
  const bool progress = attempt.step_after > attempt.step_before;
  if (progress) restarts.without_progress = 0;
  if (!progress && patience.without_progress > 0 && restarts.without_progress >= patience.without_progress) {
    return end(static_cast<int>(ExitCode::kNoProgress),
               core::concat(ended, ", and ", restarts.without_progress,
                            " restarts in a row brought no newer checkpoint (", place(attempt.step_after),
                            "): given up. Look at the errors above; run.restarts_without_progress "
                            "in the recipe says how often it is tried"));
  }
  ++restarts.all;
  if (!progress) ++restarts.without_progress;
  const double wait =
      progress ? 0 : std::min(kLongestWait, std::exp2(static_cast<double>(restarts.without_progress - 1)));
  return {true, 0, wait,
          core::concat(ended, "; ", place(attempt.step_after), "; restart ", restarts.all,
                       wait > 0 ? " in " + core::human_seconds(wait) : "")};
}

}  // namespace pathline::launch

// SPDX-License-Identifier: Apache-2.0
// What a supervisor makes of the end of a run (docs/architecture.md, "Exit codes"). Pure functions.
#pragma once

#include <cstdint>
#include <string>

namespace pathline::launch {

/// Running again would end the same way: 0, 2, 3, 4, 65, 66.
bool is_final(int code);

/// "64 (stopped on request, checkpoint written)", "137 (killed by signal 9)".
std::string code_in_words(int code);

/// One run of a supervised program. Steps are those of the newest committed checkpoint, -1 without one.
struct Attempt {
  int code = 0;
  std::int64_t step_before = -1, step_after = -1;
  bool asked_to_stop = false;
};

struct Patience {
  bool restart = false;
  std::int64_t max_restarts = 0;      // in all; 0: any number
  std::int64_t without_progress = 3;  // restarts in a row; 0: any number
};

/// Of the runs before this one.
struct Restarts {
  std::int64_t all = 0, without_progress = 0;
};

struct Verdict {
  bool again = false;
  int code = 0;             // of the supervisor, where it ends
  double wait_seconds = 0;  // before running again: after failures without progress 1, 2, 4 ... 60
  std::string words;        // what happened and why this follows
};

/// Counts the restart that follows, if one does.
Verdict judge(const Attempt& attempt, const Patience& patience, Restarts& restarts);

}  // namespace pathline::launch

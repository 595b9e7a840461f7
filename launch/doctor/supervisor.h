// SPDX-License-Identifier: Apache-2.0
// Starts the probing process, listens to it until it ends or its time is over, and says what it ended of. See Note [Two
// processes] in examination.h.
#pragma once

#include <string>
#include <vector>

#include "launch/doctor/line.h"

namespace pathline::doctor {

struct Told {
  std::vector<Line> lines;
  bool ended = false;      // it said all it had to say
  bool delivered = false;  // to rank 0, which shows it
  bool in_order = false;   // it ended with exit code 0: the launcher will not mind that we do
};

/// argv[0] is the program's path. What the process writes to stderr goes to ours. Kills it after `seconds`; one that
/// cannot be killed (it waits for a device) is left behind. `rank`: of the lines about the process itself.
Told supervise(const std::vector<std::string>& argv, double seconds, int rank);

}  // namespace pathline::doctor

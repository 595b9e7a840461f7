// SPDX-License-Identifier: Apache-2.0
// Which ranks reach each other, before anything collective is called.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launch/doctor/judge_ranks.h"
#include "launch/doctor/line.h"
#include "launch/doctor/mail.h"

namespace pathline::doctor {

/// Every rank leaves its name in a directory before MPI starts, so that those who wait for it can say who is missing.
class Presence {
 public:
  /// Leaves the name of `rank` in DIRECTORY/.pathline-doctor-JOB. Throws core::Error.
  Presence(const std::string& directory, const std::string& job, int rank);
  /// Removes this rank's name, and the directory once it is empty.
  ~Presence();
  /// Rank -> "node3 (pid 4711)".
  std::map<int, std::string> arrived() const;

 private:
  std::string directory_, own_;
};

struct ReachResult {
  bool well = false;         // all ranks may go on to collective calls; the same on all that say true
  std::optional<Line> line;  // rank 0's verdict, or that of a rank that did not hear from rank 0
};

/// All ranks, each within about three times `seconds`. `hosts`: what is known of ranks that stay silent.
ReachResult find_reach(Mail& mail, int rank, int ranks, double seconds, const std::map<int, std::string>& hosts);

/// Sends this rank's lines to rank 0 and waits until they are taken.
bool deliver(Mail& mail, const std::vector<Line>& lines, double seconds);
/// Rank 0: the lines of all others; those that did not send them within `seconds` are a broken line of ours.
std::vector<Line> collect_lines(Mail& mail, int ranks, double seconds);

}  // namespace pathline::doctor

// SPDX-License-Identifier: Apache-2.0
// Who holds up the others, told from what the ranks said of themselves. Pure functions of records and the judge's
// clock.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cluster/whereabouts.h"

namespace pathline::cluster {

/// How long a rank may stay without progress, in seconds of the judge's clock.
struct Deadlines {
  double step = 600;    // 0: for ever
  double grace = 1200;  // on top in set-up, validation, checkpoints, previews, and at the end

  bool watched() const { return step > 0; }
  double in(Phase phase) const;
  /// After this time without any progress of its own a rank ends the job itself: the judges must be gone.
  double without_judge() const { return 2 * (step + grace); }
};

/// The last that a judge knows of a rank; times on the judge's clock.
struct Sighting {
  RankRecord record;
  double heard_at = 0;     // when the record arrived
  double progress_at = 0;  // when its progress last moved
};

/// For people: "rank 3 (pid 411 on node37)".
struct RankName {
  std::string host;
  int pid = 0;
};

/// Ranks that are over their deadline and that the others wait for.
struct Verdict {
  std::vector<int> missing;
  bool silent = false;  // they do not answer at all: stopped, or their host is gone
};

/// Note [Who is missing]
/// Ranks go through the same steps and phases together, so the one that is stuck is the one that is furthest behind
/// (step, phase, number of collectives); those before it wait. It alone has to be over the deadline of the phase that
/// it is in: ranks that wait for a long checkpoint of another are never accused. A rank that does not answer is missing
/// after the deadline of a step, whatever it did (a rank that lives answers in all phases), and before ranks that do:
/// the record that a stopped process leaves behind is old and may look like the others'.
std::optional<Verdict> find_missing(std::span<const Sighting> ranks, const Deadlines& deadlines, double now);

/// The verdict in words: who is missing, where, since when, and who waits for it where.
std::string describe(const Verdict& verdict, std::span<const Sighting> ranks, std::span<const RankName> names,
                     double now);

/// "0-2, 5"; `ranks` ascends.
std::string rank_ranges(std::span<const int> ranks);
std::string place_of(const RankRecord& record);

}  // namespace pathline::cluster

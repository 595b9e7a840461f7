// SPDX-License-Identifier: Apache-2.0
// Which ranks are persistently slower than the others. Synchronous training goes at the pace of the slowest.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cluster/whereabouts.h"

namespace pathline::cluster {

/// A rank is slow when its own time for a unit of work (data and computing; not waiting for others) is over kSlow times
/// the median of all ranks in kWindows windows in a row. Every rank is named once.
class SlowRanks {
 public:
  static constexpr double kSlow = 1.5;
  static constexpr int kWindows = 3;
  static constexpr int kSteps = 20;  // a window has at least so many steps on every rank

  struct Finding {
    int rank = 0;
    double times_median = 0;
    double compute = 0, median_compute = 0;  // seconds for a unit of work, over the last window
    double data = 0, median_data = 0;
  };

  /// A window lasts at least `window` seconds.
  SlowRanks(std::size_t ranks, double window) : window_(window), slow_windows_(ranks), named_(ranks) {}

  /// The ranks found slow just now; `records` of all ranks, `now` on the caller's clock.
  std::vector<Finding> look(std::span<const RankRecord> records, double now);

 private:
  double window_;
  double begun_ = 0;
  std::vector<RankRecord> before_;  // at the beginning of the window
  std::vector<int> slow_windows_;   // in a row
  std::vector<bool> named_;
};

/// "takes 2.4 times the median: compute 1.9 s against 0.8 s, data 0 s against 0 s for a sample".
std::string describe(const SlowRanks::Finding& finding);

}  // namespace pathline::cluster

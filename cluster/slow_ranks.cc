// SPDX-License-Identifier: Apache-2.0
#include "cluster/slow_ranks.h"

#include <algorithm>
#include <sstream>

namespace pathline::cluster {
namespace {

struct Times {
  double compute = 0, data = 0;
  double both() const { return compute + data; }
};

Times per_step(const RankRecord& before, const RankRecord& after) {
  const auto steps = static_cast<double>(after.timed_steps - before.timed_steps);
  return {(after.compute_seconds - before.compute_seconds) / steps, (after.data_seconds - before.data_seconds) / steps};
}

/// Of two, the lower: one slow rank of two is found as well.
template <class Value>
double median(std::span<const Times> times, const Value& value) {
  std::vector<double> values;
  for (const Times& one : times) values.push_back(value(one));
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

std::vector<SlowRanks::Finding> SlowRanks::look(std::span<const RankRecord> records, double now) {
  if (before_.empty()) {
    before_.assign(records.begin(), records.end());
    begun_ = now;
  }
  if (now - begun_ < window_) return {};
  std::vector<Times> times;
  for (std::size_t r = 0; r < records.size(); ++r) {
    if (records[r].timed_steps - before_[r].timed_steps < kSteps) return {};
    times.push_back(per_step(before_[r], records[r]));
  }
  begun_ = now;
  before_.assign(records.begin(), records.end());

  const double middle = median(times, [](const Times& t) { return t.both(); });
  std::vector<Finding> found;
  for (std::size_t r = 0; r < times.size(); ++r) {
    slow_windows_[r] = times[r].both() > kSlow * middle ? slow_windows_[r] + 1 : 0;
    if (slow_windows_[r] < kWindows || named_[r]) continue;
    named_[r] = true;
    found.push_back({static_cast<int>(r), times[r].both() / middle, times[r].compute,
                     median(times, [](const Times& t) { return t.compute; }), times[r].data,
                     median(times, [](const Times& t) { return t.data; })});
  }
  return found;
}

std::string describe(const SlowRanks::Finding& finding) {
  std::ostringstream text;
  text.precision(2);
  text << "takes " << finding.times_median << " times the median: compute " << finding.compute << " s against "
       << finding.median_compute << " s, data " << finding.data << " s against " << finding.median_data
       << " s for a sample";
  return text.str();
}

}  // namespace pathline::cluster

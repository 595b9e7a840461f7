// SPDX-License-Identifier: Apache-2.0
#include "cluster/hang_judge.h"

#include <algorithm>
#include <iomanip>
#include <map>
#include <sstream>
#include <tuple>

#include "core/error.h"

namespace pathline::cluster {
namespace {

constexpr std::size_t kNamedInFull = 8;

auto position_of(const RankRecord& record) { return std::tuple(record.step, record.phase, record.collective); }

std::string seconds(double value) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(value < 10 ? 1 : 0) << value << " s";
  return text.str();
}

std::string missing_rank(int rank, const Sighting& last, const RankName& name, bool silent, double now) {
  std::ostringstream text;
  text << "rank " << rank << " (pid " << name.pid << " on " << name.host << ") ";
  if (silent) {
    text << "has not answered for " << seconds(now - last.heard_at) << ", last seen in " << place_of(last.record);
  } else {
    text << "answers, but has been stuck in " << place_of(last.record) << " for " << seconds(now - last.progress_at);
  }
  return text.str();
}

/// "rank 0 in step 7, reduce, collective 21; ranks 2-3 in ..."
std::string waiting_ranks(std::span<const int> missing, std::span<const Sighting> ranks) {
  std::map<std::string, std::vector<int>> by_place;
  for (int r = 0; r < static_cast<int>(ranks.size()); ++r) {
    if (!std::binary_search(missing.begin(), missing.end(), r)) by_place[place_of(ranks[r].record)].push_back(r);
  }
  std::string text;
  for (const auto& [place, there] : by_place) {
    text += core::concat(text.empty() ? "" : "; ", there.size() == 1 ? "rank " : "ranks ", rank_ranges(there), " in ",
                         place);
  }
  return text;
}

}  // namespace

double Deadlines::in(Phase phase) const {
  const bool inside_step = phase >= Phase::kData && phase <= Phase::kReport;
  return inside_step ? step : step + grace;
}

std::optional<Verdict> find_missing(std::span<const Sighting> ranks, const Deadlines& deadlines, double now) {
  if (!deadlines.watched()) return std::nullopt;
  const auto behind = std::min_element(ranks.begin(), ranks.end(), [](const Sighting& a, const Sighting& b) {
    return position_of(a.record) < position_of(b.record);
  });
  Verdict silent{{}, true}, stuck;
  bool over = false;  // one of them is over its deadline
  for (int r = 0; r < static_cast<int>(ranks.size()); ++r) {
    const double unheard = now - ranks[r].heard_at, still = now - ranks[r].progress_at;
    if (unheard > deadlines.step / 2) silent.missing.push_back(r);
    over = over || unheard > deadlines.step;
    if (position_of(ranks[r].record) != position_of(behind->record)) continue;
    const double deadline = deadlines.in(ranks[r].record.phase);
    if (still > deadline / 2) stuck.missing.push_back(r);
    over = over || still > deadline;
  }
  if (over) return silent.missing.empty() ? stuck : silent;
  return std::nullopt;
}

std::string describe(const Verdict& verdict, std::span<const Sighting> ranks, std::span<const RankName> names,
                     double now) {
  std::string text;
  for (std::size_t i = 0; i < std::min(verdict.missing.size(), kNamedInFull); ++i) {
    const int r = verdict.missing[i];
    text += (i == 0 ? "" : "; ") + missing_rank(r, ranks[r], names[r], verdict.silent, now);
  }
  if (verdict.missing.size() > kNamedInFull) {
    text += core::concat("; so are ranks ", rank_ranges(std::span(verdict.missing).subspan(kNamedInFull)));
  }
  const std::string waiting = waiting_ranks(verdict.missing, ranks);
  return text + (waiting.empty() ? ". No other rank is waiting" : ". Waiting for it: " + waiting);
}

std::string rank_ranges(std::span<const int> ranks) {
  std::string text;
  for (std::size_t first = 0; first < ranks.size();) {
    std::size_t last = first;
    while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) ++last;
    text += core::concat(text.empty() ? "" : ", ", ranks[first]);
    if (last > first) text += core::concat("-", ranks[last]);
    first = last + 1;
  }
  return text;
}

std::string place_of(const RankRecord& record) {
  return core::concat("step ", record.step, ", ", name_of(record.phase), ", collective ", record.collective);
}

}  // namespace pathline::cluster

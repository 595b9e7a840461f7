// SPDX-License-Identifier: Apache-2.0
#include "launch/doctor/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"
#include "launch/doctor/judge_ranks.h"

namespace pathline::doctor {
namespace {

bool same(const Line& a, const Line& b) {
  if (a.name != b.name || a.verdict != b.verdict) return false;
  return a.verdict == Verdict::kGood || (a.found == b.found && a.advice == b.advice);
}

template <class T>
void insert(std::vector<T>& sorted, const T& value) {
  const auto place = std::lower_bound(sorted.begin(), sorted.end(), value);
  if (place == sorted.end() || *place != value) sorted.insert(place, value);
}

/// "broken 2, slow 1, good 14".
std::string count_of(const std::vector<Finding>& findings) {
  std::string text;
  for (const Verdict verdict : {Verdict::kBroken, Verdict::kSlow, Verdict::kGood}) {
    const auto count = std::count_if(findings.begin(), findings.end(),
                                     [&](const Finding& finding) { return finding.line.verdict == verdict; });
    text += core::concat(text.empty() ? "" : ", ", word(verdict), " ", count);
  }
  return text;
}

/// Who says so, where not everybody does.
std::string where(const Finding& finding, int ranks) {
  if (ranks < 2 || static_cast<int>(finding.ranks.size()) == ranks) return "";
  if (finding.line.verdict == Verdict::kGood) {
    return finding.hosts.size() < 2 ? "" : core::concat(" [likewise on ", finding.hosts.size() - 1, " other hosts]");
  }
  std::string hosts =
      finding.hosts.size() > 4 ? core::concat(finding.hosts.size(), " hosts") : core::listed(finding.hosts);
  return core::concat(" [", named(finding.ranks), " on ", hosts, "]");
}

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.resize(width, ' ');
  return text;
}

}  // namespace

std::vector<Finding> merged(const std::vector<Line>& lines) {
  std::vector<std::string> names;
  for (const Line& line : lines) {
    if (std::find(names.begin(), names.end(), line.name) == names.end()) names.push_back(line.name);
  }
  std::vector<Finding> findings;
  for (const auto& name : names) {
    const auto first = static_cast<std::ptrdiff_t>(findings.size());
    for (const Line& line : lines) {
      if (line.name != name) continue;
      const auto found = std::find_if(findings.begin() + first, findings.end(),
                                      [&](const Finding& finding) { return same(finding.line, line); });
      Finding& finding = found == findings.end() ? findings.emplace_back(Finding{line, {}, {}}) : *found;
      if (line.rank < finding.line.rank) finding.line = line;
      insert(finding.ranks, line.rank);
      insert(finding.hosts, line.host);
    }
  }
  return findings;
}

std::string text_of(const std::vector<Finding>& findings, int ranks) {
  std::size_t width = 0;
  for (const Finding& finding : findings) width = std::max(width, finding.line.name.size());
  std::string text;
  for (const Finding& finding : findings) {
    const Line& line = finding.line;
    text += padded(word(line.verdict), 8) + padded(line.name, width + 2) + line.found + where(finding, ranks) + "\n";
    if (!line.advice.empty()) text += std::string(width + 10, ' ') + "-> " + line.advice + "\n";
  }
  return text + count_of(findings) + "\n";
}

std::string json_of(const std::vector<Finding>& findings, int ranks) {
  nlohmann::ordered_json lines = nlohmann::ordered_json::array();
  std::vector<Line> all;
  for (const Finding& finding : findings) {
    all.push_back(finding.line);
    lines.push_back({{"name", finding.line.name},
                     {"verdict", word(finding.line.verdict)},
                     {"found", finding.line.found},
                     {"advice", finding.line.advice},
                     {"hosts", finding.hosts},
                     {"ranks", finding.ranks}});
  }
  const nlohmann::ordered_json json = {{"ranks", ranks}, {"exit_code", exit_code_of(all)}, {"lines", lines}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

int exit_code_of(const std::vector<Line>& lines) {
  const bool any =
      std::any_of(lines.begin(), lines.end(), [](const Line& line) { return line.verdict == Verdict::kBroken; });
  return static_cast<int>(any ? core::ExitCode::kEnvironment : core::ExitCode::kFinished);
}

}  // namespace pathline::doctor

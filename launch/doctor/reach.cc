// SPDX-License-Identifier: Apache-2.0
#include "launch/doctor/reach.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "core/error.h"
#include "core/file_system.h"
#include "core/machine.h"
#include "core/text.h"

namespace pathline::doctor {
namespace {

constexpr std::string_view kRank = "rank-";

/// Knocks as a letter: the host's name, then two digits for every rank.
std::string text_of(const Knocks& knocks) {
  std::string text = core::host_name() + " ";
  for (std::size_t r = 0; r < knocks.taken.size(); ++r) {
    text += knocks.taken[r] ? '1' : '0';
    text += knocks.heard[r] ? '1' : '0';
  }
  return text;
}

Knocks knocks_of(const std::string& digits, int ranks) {
  Knocks knocks;
  for (int r = 0; r < ranks; ++r) {
    knocks.taken.push_back(digits[2 * r] == '1');
    knocks.heard.push_back(digits[2 * r + 1] == '1');
  }
  return knocks;
}

Knocks knock(Mail& mail, int rank, int ranks, double seconds) {
  const auto partners = partners_of(rank, ranks);
  Knocks knocks{std::vector<bool>(ranks), std::vector<bool>(ranks)};
  for (const int partner : partners) mail.send(partner, Kind::kKnock, core::host_name());
  mail.wait(seconds, [&] {
    while (const auto letter = mail.take(Kind::kKnock)) knocks.heard[letter->from] = true;
    bool all = true;
    for (const int partner : partners) {
      knocks.taken[partner] = mail.all_taken(partner);
      all = all && knocks.taken[partner] && knocks.heard[partner];
    }
    return all;
  });
  return knocks;
}

std::vector<std::string> names_of(int ranks, const std::map<int, std::string>& hosts) {
  std::vector<std::string> names(ranks, "an unknown host");
  for (const auto& [rank, host] : hosts) {
    if (rank < ranks) names[rank] = host;
  }
  return names;
}

/// Rank 0: collects what everybody has told, judges, and says to all whether all is well.
ReachResult judge_all(Mail& mail, const Knocks& own, int ranks, double seconds, std::map<int, std::string> hosts) {
  std::vector<Knocks> all(ranks);
  all[0] = own;
  hosts[0] = core::host_name();
  int told = 1;
  mail.wait(seconds, [&] {
    while (const auto letter = mail.take(Kind::kKnocks)) {
      const auto blank = letter->text.find(' ');
      hosts[letter->from] = letter->text.substr(0, blank);
      all[letter->from] = knocks_of(letter->text.substr(blank + 1), ranks);
      ++told;
    }
    return told == ranks;
  });
  ReachResult result;
  result.line = judge_reach(all, names_of(ranks, hosts), seconds);
  result.well = result.line->verdict == Verdict::kGood;
  for (int r = 1; r < ranks; ++r) mail.send(r, Kind::kVerdict, result.well ? "well" : "ill");
  return result;
}

/// The view of a rank that has not heard from rank 0: who does not answer it.
Line judge_alone(const Knocks& own, int rank, int ranks, double seconds, const std::map<int, std::string>& hosts) {
  std::vector<Knocks> all(ranks, Knocks{std::vector<bool>(ranks, true), std::vector<bool>(ranks, true)});
  for (const int partner : partners_of(rank, ranks)) {
    if (!own.taken[partner] || !own.heard[partner]) all[partner] = {};
  }
  all[0] = {};
  return judge_reach(all, names_of(ranks, hosts), seconds);
}

}  // namespace

Presence::Presence(const std::string& directory, const std::string& job, int rank)
    : directory_(core::join_path(directory, ".pathline-doctor-" + job)) {
  core::PosixFileSystem files;
  files.make_directory(directory_);
  own_ = core::join_path(directory_, core::concat(kRank, rank));
  core::replace_file(files, own_, core::concat(core::host_name(), " (pid ", ::getpid(), ")"));
}

Presence::~Presence() {
  ::unlink(own_.c_str());
  ::rmdir(directory_.c_str());
}

std::map<int, std::string> Presence::arrived() const {
  core::PosixFileSystem files;
  std::map<int, std::string> result;
  for (const auto& name : files.list(directory_)) {
    int rank = 0;
    const char* end = name.data() + name.size();
    if (name.rfind(kRank, 0) != 0 || std::from_chars(name.data() + kRank.size(), end, rank).ptr != end) continue;
    result[rank] = core::read_text(files, core::join_path(directory_, name));
  }
  return result;
}

ReachResult find_reach(Mail& mail, int rank, int ranks, double seconds, const std::map<int, std::string>& hosts) {
  const Knocks own = knock(mail, rank, ranks, seconds);
  if (rank == 0) return judge_all(mail, own, ranks, seconds, hosts);
  mail.send(0, Kind::kKnocks, text_of(own));
  ReachResult result;
  std::optional<Letter> verdict;
  mail.wait(2 * seconds, [&] { return (verdict = mail.take(Kind::kVerdict)).has_value(); });
  result.well = verdict && verdict->text == "well";
  if (!verdict) result.line = judge_alone(own, rank, ranks, seconds, hosts);
  return result;
}

bool deliver(Mail& mail, const std::vector<Line>& lines, double seconds) {
  std::string text;
  for (const Line& line : lines) text += json_of(line) + "\n";
  mail.send(0, Kind::kLines, text);
  return mail.wait(seconds, [&] { return mail.all_taken(0); });
}

std::vector<Line> collect_lines(Mail& mail, int ranks, double seconds) {
  std::vector<Line> lines;
  std::vector<int> missing;
  for (int r = 1; r < ranks; ++r) missing.push_back(r);
  mail.wait(seconds, [&] {
    while (const auto letter = mail.take(Kind::kLines)) {
      std::erase(missing, letter->from);
      std::istringstream each(letter->text);
      for (std::string json; std::getline(each, json);) lines.push_back(line_of(json));
    }
    return missing.empty();
  });
  if (!missing.empty()) {
    Line line = broken("reports",
                       core::concat(named(missing), missing.size() == 1 ? " has" : " have", " not reported within ",
                                    core::human_seconds(seconds)),
                       "look at their own lines, here and in the job's output");
    line.host = core::host_name();
    lines.push_back(line);
  }
  return lines;
}

}  // namespace pathline::doctor

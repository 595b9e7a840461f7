// SPDX-License-Identifier: Apache-2.0
// One line of what `pathline doctor` says: what was looked at, how it is, what was seen and what to do.
#pragma once

#include <string>
#include <vector>

namespace pathline::doctor {

enum class Verdict { kGood, kSlow, kBroken };

struct Line {
  std::string name;  // of what was looked at: "storage: sync"
  Verdict verdict = Verdict::kGood;
  std::string found;   // what was seen, with values
  std::string advice;  // what to do; empty if good
  std::string host;    // where, filled in by the probing process
  int rank = 0;
};

Line good(std::string name, std::string found);
Line slow(std::string name, std::string found, std::string advice);
Line broken(std::string name, std::string found, std::string advice);

const char* word(Verdict verdict);

/// As one line of JSON, without a line feed, and back. line_of() throws core::Error for anything else.
std::string json_of(const Line& line);
Line line_of(const std::string& json);

}  // namespace pathline::doctor

// SPDX-License-Identifier: Apache-2.0
// The lines of all ranks as one report, for people and as JSON.
#pragma once

#include <string>
#include <vector>

#include "launch/doctor/line.h"

namespace pathline::doctor {

/// What several ranks say in the same words, said once.
struct Finding {
  Line line;
  std::vector<int> ranks;          // who said so, sorted
  std::vector<std::string> hosts;  // of these, each once
};

/// In the order in which things were first looked at. Good lines of one name are one finding, the first rank's;
/// anything else is one finding for every distinct wording.
std::vector<Finding> merged(const std::vector<Line>& lines);

/// `ranks` is the number of ranks that were started: a finding that all share needs no names.
std::string text_of(const std::vector<Finding>& findings, int ranks);
std::string json_of(const std::vector<Finding>& findings, int ranks);

/// 4 (environment) if anything is broken, else 0.
int exit_code_of(const std::vector<Line>& lines);

}  // namespace pathline::doctor

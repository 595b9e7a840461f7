// SPDX-License-Identifier: Apache-2.0
// Which program stands behind which sub-command of `pathline`. The back ends lie in the front end's own directory.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pathline::launch {

struct BackEnd {
  std::string_view command;  // "train"
  std::string_view program;  // "pathline-train"
  bool waits_for_signals;    // it unblocks the job's signals once it can act on them; others get them at once
  std::string_view summary;
};

std::span<const BackEnd> back_ends();

/// nullptr if there is no such command.
const BackEnd* find_back_end(std::string_view command);

/// argv of the back end for the arguments after `pathline`. argv[0] is what the user typed ("pathline train"), so that
/// its messages name the command that people know.
std::vector<std::string> back_end_arguments(const BackEnd& back_end, const std::vector<std::string>& arguments);

/// Where this program and the back ends lie. Throws ExitCode::kEnvironment without /proc.
std::string own_directory();

/// The list of commands for --help.
std::string usage();

}  // namespace pathline::launch

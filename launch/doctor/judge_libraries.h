// SPDX-License-Identifier: Apache-2.0
// What the doctor thinks of the libraries that a program has loaded, or could not load. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "launch/doctor/line.h"

namespace pathline::doctor {

/// Files of libraries that the process has mapped (/proc/self/maps).
std::vector<std::string> mapped_libraries(const std::string& maps);
/// Two copies of a library that may be there once only, and libraries that take calls away.
Line judge_loaded(std::span<const std::string> libraries, const std::string& preload);

struct Version {
  std::string library;  // "MPI"
  std::string built;    // "4.1.4"
  std::string loaded;
  int same_parts = 3;  // so many leading numbers must agree
  std::string where;   // the library's file
};
Line judge_version(const Version& version);

/// A process that ended before it said anything: `words` is what it wrote to stderr.
Line judge_start(const std::string& words, const std::string& how_it_ended);

}  // namespace pathline::doctor

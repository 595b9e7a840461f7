// SPDX-License-Identifier: Apache-2.0
// Names of files that are not complete yet, and what becomes of those whose writer was killed.
#pragma once

#include <string>

namespace pathline::data {

/// "PATH.tmp-HOST-PROCESS-NUMBER": another for every call of every process.
std::string temporary_name(const std::string& path);

/// Removes what processes of this host that are gone left under temporary names of `path`.
void remove_abandoned(const std::string& path);

}  // namespace pathline::data

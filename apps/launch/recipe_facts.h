// SPDX-License-Identifier: Apache-2.0
// What a launcher needs to know of a recipe; the rest of it is for the program that is launched.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pathline::apps {

struct RecipeFacts {
  std::string run_directory;
  std::int64_t restarts_without_progress = 3;
};

/// Throws ExitCode::kUsage for a file that is no recipe. `sets` are "section.key=value".
RecipeFacts recipe_facts(const std::string& recipe, const std::vector<std::string>& sets);

}  // namespace pathline::apps

// SPDX-License-Identifier: Apache-2.0
// A path through the points of a table.
#pragma once

#include <functional>
#include <string>

#include "flow/path_point.h"

namespace pathline::flow {

/// The lines of a table as one text, "t a s; t a s; ...": of a file (empty lines and those that begin with # are
/// skipped), or the text itself where it is one already. So a recipe and a checkpoint hold the path, not a file's name.
/// Throws ExitCode::kInput for a file that cannot be read.
std::string table_lines(const std::string& file_or_lines);

/// Lines of three numbers, t from 0 to 1, s / a falling; between them monotone cubic Hermite interpolation (Fritsch,
/// Butland, SIAM J. Sci. Stat. Comput. 5, 1984). Throws ExitCode::kInput, in
/// words that call it `name`.
std::function<PathPoint(double t)> path_through(const std::string& lines, const std::string& name);

}  // namespace pathline::flow

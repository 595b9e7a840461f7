// SPDX-License-Identifier: Apache-2.0
// A path from a text file.
#pragma once

#include <functional>
#include <string>

#include "flow/path_point.h"

namespace pathline::flow {

/// Lines "t a s" (empty lines and those that begin with # are skipped), t from 0 to 1, s / a falling; between them
/// monotone cubic Hermite interpolation (Fritsch, Butland, SIAM J. Sci. Stat. Comput. 5, 1984). Throws
/// ExitCode::kInput.
std::function<PathPoint(double t)> read_path_table(const std::string& file);

}  // namespace pathline::flow

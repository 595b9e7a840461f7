// SPDX-License-Identifier: Apache-2.0
// Words written so that others read them as they are.
#pragma once

#include <string>
#include <vector>

namespace pathline::launch {

/// One word of a POSIX shell: as it is where nothing in it is special, in single quotes otherwise.
std::string shell_word(const std::string& text);
/// Words separated by blanks.
std::string shell_words(const std::vector<std::string>& words);

/// A value in an #SBATCH line, which the shell does not read: in double quotes where it needs them. Throws
/// ExitCode::kUsage (naming `what`) for a line break.
std::string sbatch_value(const std::string& text, const std::string& what);

}  // namespace pathline::launch

// SPDX-License-Identifier: Apache-2.0
// Recipe keys that take one of a few words.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/text.h"

namespace pathline::core {

/// Throws ExitCode::kUsage listing what is offered; `key` is "section.key".
inline void check_choice(std::string_view key, const std::string& value, const std::vector<std::string>& offered) {
  PL_CHECK(std::find(offered.begin(), offered.end(), value) != offered.end(), ExitCode::kUsage, key, " = \"", value,
           "\" is not offered (training cannot start without it). Use ", listed(offered), ".");
}

}  // namespace pathline::core

// SPDX-License-Identifier: Apache-2.0
// What the engine allocates, by kind, as its parts report it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace pathline::trainer {

struct MemoryUse {
  std::string kind;  // parameters | masters | moments | averages | gradients | staging | checkpoint
  std::size_t bytes = 0;
};

}  // namespace pathline::trainer

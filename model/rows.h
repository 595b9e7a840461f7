// SPDX-License-Identifier: Apache-2.0
// What the loops over rows of numbers are told about their size.
#pragma once

#include <cstdint>

namespace pathline::model {

/// `count` rows of `width` numbers, contiguous unless a distance between rows is given.
struct Rows {
  std::int64_t count, width;
};

}  // namespace pathline::model

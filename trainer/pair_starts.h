// SPDX-License-Identifier: Apache-2.0
// Whether the starts that pairs bring can be what sampling will start from.
#pragma once

#include <string>

#include "data/shard_source.h"

namespace pathline::trainer {

/// Why /x0 of `source` can hardly be normal noise, or "": judged by mean and variance of at most 1,000 rows over the
/// whole set, widely enough for noise that data were encoded into.
std::string doubt_of_normal_starts(const data::ShardSource& source);

}  // namespace pathline::trainer

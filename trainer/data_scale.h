// SPDX-License-Identifier: Apache-2.0
// Are the data on the scale that networks and noise expect? Looked at once, when training starts.
#pragma once

#include <string>

#include "data/shard_source.h"

namespace pathline::trainer {

/// What is odd about a few items spread over the set, or nothing. Pixels should fill a good part of [-1, 1]; other
/// numbers should have a root mean square between 1/3 and 3, as the noise has 1.
std::string odd_scale(const data::ShardSource& source);

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
// How fast the network is at different numbers of slots: what `--slots auto` goes by.
#pragma once

#include <cstdint>
#include <vector>

#include "sampler/generate.h"

namespace pathline::sampler {

struct BatchPoint {
  std::int64_t slots = 0;
  double rows_per_second = 0;
};

/// Of one forward pass of the network on a batch of `slots`: the shortest of three after a first one. Local.
double seconds_of_evaluation(const Field& field, const Job& job, std::int64_t slots);

/// Evaluations a second on 16, 32, 64, ... slots up to `most`, at least 16. Ends early where twice the slots bring less
/// than 2 % more rows a second, or do not fit into memory. Local.
std::vector<BatchPoint> measure_batch_curve(const Field& field, const Job& job, std::int64_t most);

/// The fewest slots that reach 95 % of the best rate: more of them would only leave more slots empty at the end. Pure.
std::int64_t best_slots(const std::vector<BatchPoint>& curve);

}  // namespace pathline::sampler

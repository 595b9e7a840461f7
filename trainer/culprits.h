// SPDX-License-Identifier: Apache-2.0
// Which samples made a step's numbers non-finite (docs/recovery.md, "Which sample"). Only called after such a step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "cluster/whereabouts.h"
#include "data/loader.h"
#include "data/shard_source.h"
#include "trainer/objective.h"
#include "trainer/options.h"

namespace pathline::trainer {

/// What of a sample is not finite; the first of them that is.
enum class Fault : std::int64_t { kValues, kLoss, kGradient };

struct Culprit {
  std::uint64_t position = 0;  // in training
  std::int64_t sample = 0;     // of the data set
  Fault fault = Fault::kValues;
  bool operator==(const Culprit&) const = default;
};

/// All ranks, each with its part of the batch that was not finite, the weights as they were. In order of position,
/// equal on all ranks; the same on any number of ranks. Empty if every sample alone is finite (their sum overflowed).
/// `here` is told of every pass through the network: a search may take longer than a step may.
std::vector<Culprit> find_culprits(const Recipe& recipe, const Objective& objective, model::Module& model,
                                   const data::SetInfo& info, data::Batch& batch, cluster::Communicator& ranks,
                                   cluster::Whereabouts& here);

/// One sentence for people; `batch` is the size of the window. Names the first eight.
std::string describe(const std::vector<Culprit>& culprits, const data::ShardSource& source, std::int64_t batch);

}  // namespace pathline::trainer

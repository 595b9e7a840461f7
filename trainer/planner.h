// SPDX-License-Identifier: Apache-2.0
// What a run would take on machines that are not here: memory, bytes on the wire, checkpoint size, time of a step.
// Memory and bytes come from the code that the run would use (layout, fold plans, reducers without ranks); time is a
// model.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cluster/dry_run_exchange.h"
#include "trainer/memory_ledger.h"
#include "trainer/options.h"
#include "trainer/step_model.h"
#include "trainer/training_run.h"

namespace pathline::trainer {

struct PlanRequest {
  int ranks = 1;
  int ranks_per_node = 0;       // 0: all on one node
  double flops_per_second = 0;  // of a rank's forward and backward passes; 0: measured here on one slice
  double memory_gbytes = 0;     // GB/s of a rank's update; 0: measured here
  Network network;
};

struct Plan {
  std::int64_t parameters = 0;
  int ranks = 1, ranks_per_node = 1;
  std::int64_t slices = 1, fewest_slices = 1, most_slices = 1;  // of the run; of a rank
  std::vector<std::size_t> buckets;                             // elements, in order of reduction

  int fullest_rank = 0;
  std::vector<MemoryUse> memory;                    // of that rank, as the engine's own ledger has it
  std::optional<double> activation_bytes_estimate;  // of one pass, where it was measured; not part of `memory`

  cluster::Traffic reduce, gather;   // of all ranks together, each step
  double checkpoint_bytes = 0;       // tensors of all ranks; headers and manifest come on top
  double checkpoint_rank_bytes = 0;  // of the rank with the largest part

  double flops_per_step = 0;    // model FLOPs, all ranks
  double flops_per_second = 0;  // of a rank: assumed or measured
  double memory_gbytes = 0;     // likewise
  StepPrediction step;
};

/// The recipe with the model's inputs filled in: from the recipe where it has them all, else from the data set.
Recipe recipe_to_plan(const RunRequest& request);

/// Local. Throws ExitCode::kUsage for more ranks than slices.
Plan make_plan(const Recipe& recipe, const PlanRequest& request);

/// A rank's memory by kind, as ShardedState and GradientTree would report it.
std::vector<MemoryUse> planned_memory(const Recipe& recipe, std::size_t flat_elements, std::size_t own_elements,
                                      std::size_t gradient_buffers, std::size_t staging_bytes);

}  // namespace pathline::trainer

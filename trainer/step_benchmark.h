// SPDX-License-Identifier: Apache-2.0
// How long a training step takes: the real step of a recipe on made-up samples in memory, without data files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "trainer/memory_ledger.h"
#include "trainer/training_run.h"

namespace pathline::trainer {

struct StepTimes {
  std::vector<double> seconds;                                         // of every measured step, the slowest rank's
  double compute_seconds = 0, reduce_seconds = 0, update_seconds = 0;  // means
  double exchange_hidden_seconds = 0, exchange_exposed_seconds = 0;    // likewise: reductions and gathers
  double samples_per_second = 0;                                       // by the median step
  double model_flops_per_second = 0, peak_flops_per_second = 0;        // over all ranks; the peak before the first step
  double peak_memory_bytes = 0;
  std::vector<MemoryUse> memory;  // of this rank's engine
  std::int64_t parameters = 0, slices = 0, ranks = 0, threads = 0;
};

/// All ranks. model.input_size, input_channels and classes come from the recipe.
StepTimes benchmark_step(const RunRequest& request, std::int64_t warmup, std::int64_t steps,
                         cluster::Communicator& ranks);

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
// How fast samples are made, beside what the network alone reaches in the same run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/sample/options.h"
#include "cluster/communicator.h"
#include "sampler/batch_curve.h"

namespace pathline::apps {

struct SampleRates {
  std::string device;
  std::int64_t slots = 0, threads = 0, count = 0;
  double mean_nfe = 0;
  std::int64_t max_nfe = 0, rejected_steps = 0;
  double occupancy = 0, queued_occupancy = 0;
  double ideal_occupancy = 0;  // of list scheduling: each sample in one row, the next in the row that is free first
  /// Of each round.
  std::vector<double> images_per_second;
  std::vector<double> tick_seconds;     // of a forward pass with everything around it
  std::vector<double> network_seconds;  // of a forward pass of the network alone, before the round
  std::vector<sampler::BatchPoint> curve;

  /// Images a second of a network that is never idle and has no empty row, by round.
  std::vector<double> bound() const;
};

/// Makes the samples of `options` in every round and keeps none. One rank. Throws as `pathline sample` does.
SampleRates benchmark_sample(const SampleOptions& options, int rounds, cluster::Communicator& world);

}  // namespace pathline::apps

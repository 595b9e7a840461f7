// SPDX-License-Identifier: Apache-2.0
// A model of the time of one training step: slices of equal length, buckets that are reduced one after the other beside
// the backward pass of the last slice and gathered beside the next forward pass, messages of latency and bandwidth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cluster/dry_run_exchange.h"

namespace pathline::trainer {

/// Messages take latency + bytes / bandwidth. The ranks of a node share its network.
struct Network {
  double latency_us = 5;           // of a message
  double bandwidth_gbytes = 12.5;  // GB/s of a node, each way
  double within_gbytes = 10;       // GB/s of a rank to others on its node
};

/// Seconds that bucket b takes: those of the slowest rank or node. `ranks` holds each rank's traffic for the bucket.
double exchange_seconds(const std::vector<cluster::Traffic>& ranks, int ranks_per_node, const Network& network);

struct StepWork {
  std::int64_t slices = 1;             // of the busiest rank
  double slice_seconds = 0;            // forward (a third) and backward (two thirds)
  std::vector<std::size_t> buckets;    // elements, in order of reduction
  std::vector<double> reduce, gather;  // seconds by bucket
  double update_seconds = 0;
};

struct StepPrediction {
  double seconds = 0;  // of the whole step
  double compute_seconds = 0;
  double reduce_seconds = 0, reduce_exposed_seconds = 0;
  double update_seconds = 0;
  double gather_seconds = 0, gather_exposed_seconds = 0;
};

/// A bucket's gradients are taken to be ready, and its parameters to be needed, when the backward and forward passes
/// have come as far as its share of the elements.
StepPrediction predict_step(const StepWork& work);

}  // namespace pathline::trainer

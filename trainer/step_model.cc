// SPDX-License-Identifier: Apache-2.0
#include "trainer/step_model.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace pathline::trainer {
namespace {

/// Seconds that reductions go on after the backward pass.
double exposed_reduction(const StepWork& work, double elements) {
  const double backward = work.slice_seconds * 2 / 3;
  double done = 0, free = 0;  // elements whose gradients are ready; when the last reduction ends, from the pass' start
  for (std::size_t b = 0; b < work.buckets.size(); ++b) {
    done += static_cast<double>(work.buckets[b]);
    free = std::max(free, backward * done / elements) + work.reduce[b];
  }
  return std::max(0.0, free - backward);
}

/// Seconds that the forward pass waits for parameters; they come in order of execution.
double exposed_gather(const StepWork& work, double elements) {
  const double forward = work.slice_seconds / 3;
  double now = 0, arrived = 0, waited = 0;
  for (std::size_t b = work.buckets.size(); b-- > 0;) {
    arrived += work.gather[b];
    const double stall = std::max(0.0, arrived - now);
    waited += stall;
    now += stall + forward * static_cast<double>(work.buckets[b]) / elements;
  }
  return waited;
}

}  // namespace

double exchange_seconds(const std::vector<cluster::Traffic>& ranks, int ranks_per_node, const Network& network) {
  constexpr double kGiga = 1e9;
  double slowest = 0, node_bytes = 0;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    if (r % static_cast<std::size_t>(ranks_per_node) == 0) node_bytes = 0;
    node_bytes += static_cast<double>(ranks[r].bytes_between_nodes);
    const double own = static_cast<double>(ranks[r].messages) * network.latency_us * 1e-6 +
                       static_cast<double>(ranks[r].bytes_within_nodes) / (network.within_gbytes * kGiga);
    slowest = std::max(slowest, own + node_bytes / (network.bandwidth_gbytes * kGiga));
  }
  return slowest;
}

StepPrediction predict_step(const StepWork& work) {
  PL_ASSERT(work.reduce.size() == work.buckets.size() && work.gather.size() == work.buckets.size());
  const auto elements = static_cast<double>(std::accumulate(work.buckets.begin(), work.buckets.end(), std::size_t{0}));
  StepPrediction step;
  step.compute_seconds = static_cast<double>(work.slices) * work.slice_seconds;
  step.reduce_seconds = std::accumulate(work.reduce.begin(), work.reduce.end(), 0.0);
  step.gather_seconds = std::accumulate(work.gather.begin(), work.gather.end(), 0.0);
  step.reduce_exposed_seconds = exposed_reduction(work, elements);
  step.gather_exposed_seconds = exposed_gather(work, elements);
  step.update_seconds = work.update_seconds;
  step.seconds = step.compute_seconds + step.reduce_exposed_seconds + step.update_seconds + step.gather_exposed_seconds;
  return step;
}

}  // namespace pathline::trainer

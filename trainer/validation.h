// SPDX-License-Identifier: Apache-2.0
// Held-out loss on a fixed keyed set of (sample, t, noise), whole and by bins of t. The same numbers on any number of
// ranks and at any time: only the weights differ from one evaluation to the next.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "trainer/dataset.h"
#include "trainer/objective.h"

namespace pathline::trainer {

struct HeldOutLoss {
  double mean = 0;
  std::vector<double> by_time;           // bin b: t in [b, b + 1) / kTimeBins; empty for an objective without times
  std::optional<double> accuracy;        // of a classifier: share of labels that it tells
  std::vector<double> accuracy_by_time;  // likewise; as by_time
};

/// All ranks. Evaluates in chunks of `chunk` samples; t is stratified: sample i of n gets ((i mod bins) + u) / bins.
/// Rank 0 names the first sample whose loss is not finite; the mean is then not finite either. `give_up` is asked on
/// all ranks before each chunk they evaluate side by side and answers the same on all; after a true there is no result.
std::optional<HeldOutLoss> held_out_loss(
    const Dataset& dataset, const Objective& objective, model::Module& model, std::int64_t chunk,
    cluster::Communicator& ranks, const std::function<bool()>& give_up = [] { return false; });

/// "loss", "loss_t0.0" ..., of a classifier also "accuracy", "accuracy_t0.0" ..., as metrics.jsonl names them, with a
/// prefix ("ema_").
std::map<std::string, double> as_metrics(const HeldOutLoss& loss, const std::string& prefix);

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
// One optimizer step: objective -> backward -> reduce -> update. See Note [Why slices] in training_step.cc.
#pragma once

#include <cstdint>

#include "cluster/communicator.h"
#include "cluster/reduction_tree.h"
#include "cluster/whereabouts.h"
#include "data/loader.h"
#include "data/shard_source.h"
#include "trainer/dataset.h"
#include "trainer/gradient_tree.h"
#include "trainer/objective.h"
#include "trainer/options.h"
#include "trainer/sharded_state.h"

namespace pathline::trainer {

struct StepResult {
  double loss = 0;           // mean over the global batch
  double gradient_norm = 0;  // before clipping
  double learning_rate = 0;
  bool skipped = false;      // loss or gradient was not finite: nothing was updated
  double compute_seconds = 0, reduce_seconds = 0, update_seconds = 0;
};

class TrainingStep {
 public:
  /// All references must outlive it. `here` is told which phase the step is in.
  TrainingStep(const Recipe& recipe, const Objective& objective, model::VelocityModel& model, ShardedState& state,
               const data::SetInfo& info, cluster::Communicator& ranks, cluster::Whereabouts& here);

  /// All ranks, each with its part of the same global batch. `optimizer_step` counts updates from 0. The same result on
  /// every rank; the same bits on any number of ranks.
  StepResult operator()(data::Batch& batch, std::int64_t optimizer_step);

 private:
  double accumulate(data::Batch& batch);
  Slice slice_of(data::Batch& batch, std::int64_t number) const;

  const Recipe& recipe_;
  const Objective& objective_;
  model::VelocityModel& model_;
  ShardedState& state_;
  const data::SetInfo& info_;
  cluster::Communicator& ranks_;
  cluster::Whereabouts& here_;
  GradientTree gradients_;
};

/// This rank's part of every global batch, as the loader wants it.
cluster::SliceRange own_samples(const TrainOptions& train, const cluster::Communicator& ranks);

}  // namespace pathline::trainer

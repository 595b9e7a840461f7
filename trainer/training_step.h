// SPDX-License-Identifier: Apache-2.0
// One optimizer step: objective -> backward -> reduce -> update. See Note [Why slices] in training_step.cc.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "cluster/reduction_tree.h"
#include "cluster/whereabouts.h"
#include "data/loader.h"
#include "data/shard_source.h"
#include "trainer/block_norms.h"
#include "trainer/dataset.h"
#include "trainer/gradient_hooks.h"
#include "trainer/gradient_tree.h"
#include "trainer/objective.h"
#include "trainer/options.h"
#include "trainer/sharded_state.h"
#include "trainer/slice_graph.h"
#include "trainer/step_scalars.h"

namespace pathline::trainer {

struct StepResult {
  double loss = 0;           // mean over the global batch
  double gradient_norm = 0;  // before clipping
  double learning_rate = 0;
  bool skipped = false;                       // loss or gradient was not finite: nothing was updated
  std::map<std::string, double> block_norms;  // as BlockNorms; empty but every log.norms_every_steps steps
  double compute_seconds = 0, reduce_seconds = 0, update_seconds = 0;
  // Reductions and gathers that ended since the last step, beside computing and with somebody waiting.
  double exchange_hidden_seconds = 0, exchange_exposed_seconds = 0;
};

class TrainingStep {
 public:
  /// All references must outlive it. `where` is told how far a step is.
  TrainingStep(const Recipe& recipe, const Objective& objective, model::Module& model, ShardedState& state,
               Backend& backend, const data::SetInfo& info, cluster::Communicator& ranks, cluster::Whereabouts& where);
  ~TrainingStep();

  /// All ranks, each with its part of the same global batch. `step` is for reports, `optimizer_step` counts updates
  /// from 0. The same result on every rank; the same bits on any number of ranks. The parameters of the next forward
  /// pass may still be arriving when it returns: the model waits for them by itself.
  StepResult operator()(data::Batch& batch, std::int64_t step, std::int64_t optimizer_step);

  /// What gradients take.
  MemoryUse memory() const { return {"gradients", gradients_.bytes()}; }

 private:
  std::vector<double> accumulate(data::Batch& batch);
  at::Tensor replay(const Slice& samples);
  void bucket_done(std::size_t bucket);
  void update(StepResult& result, std::int64_t step, std::int64_t optimizer_step);
  void note_exchange(StepResult& result);

  const Recipe& recipe_;
  const Objective& objective_;
  model::Module& model_;
  ShardedState& state_;
  Backend& backend_;
  const data::SetInfo& info_;
  cluster::Communicator& ranks_;
  cluster::Whereabouts& where_;
  GradientTree gradients_;
  GradientHooks hooks_;
  StepScalars scalars_;
  BlockNorms norms_;
  std::unique_ptr<SliceGraph> graph_;  // where train.cuda_graph asks for one
  std::vector<bool> bucket_ready_;
  std::size_t next_bucket_ = 0;  // to reduce
  double busy_before_ = 0, exposed_before_ = 0;
};

/// This rank's part of every global batch, as the loader wants it.
cluster::SliceRange own_samples(const TrainOptions& train, const cluster::Communicator& ranks);

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
// The real training step of a recipe on made-up samples in memory, without data files: for benchmarks.
#pragma once

#include <cstdint>
#include <memory>

#include "cluster/communicator.h"
#include "core/config.h"
#include "trainer/engine.h"
#include "trainer/training_step.h"

namespace pathline::trainer {

class MadeTraining {
 public:
  /// model.input_size, input_channels and classes come from the recipe. Throws on all ranks together. Collective.
  MadeTraining(core::Config config, cluster::Communicator& ranks);

  const Recipe& recipe() const { return recipe_; }
  model::Module& model() { return *model_; }
  ShardedState& state() { return *engine_.state; }
  MemoryUse gradient_memory() const { return step_->memory(); }

  /// Step number n; the slowest rank's seconds. Collective.
  struct Timed {
    StepResult result;
    double seconds = 0;
  };
  Timed step(std::int64_t n);

 private:
  cluster::Communicator& ranks_;
  Recipe recipe_;
  data::SetInfo info_;
  std::unique_ptr<model::Module> model_;
  Engine engine_;
  std::unique_ptr<Objective> objective_;
  cluster::Whereabouts where_;
  std::unique_ptr<TrainingStep> step_;
};

}  // namespace pathline::trainer

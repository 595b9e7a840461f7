// SPDX-License-Identifier: Apache-2.0
// What of a rank turns gradients into parameters: where it computes, and the state of training there.
#pragma once

#include <memory>

#include "cluster/communicator.h"
#include "model/module.h"
#include "trainer/backend.h"
#include "trainer/options.h"
#include "trainer/sharded_state.h"

namespace pathline::trainer {

struct Engine {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<ShardedState> state;
};

/// The model's parameters become views of the state. Model and recipe must outlive it. Throws on all ranks together.
/// Collective.
Engine make_engine(const Recipe& recipe, model::Module& model, cluster::Communicator& ranks);

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
#include "trainer/engine.h"

#include "cluster/topology.h"
#include "trainer/backend.h"

namespace pathline::trainer {
namespace {

/// Frozen tensors go where the parameters go; the model keeps its handles.
void move_buffers(const model::Module& model, at::Device device) {
  for (const auto& buffer : model.buffers()) {
    at::Tensor tensor = buffer.tensor;
    if (tensor.device() != device) tensor.set_data(tensor.to(device));
  }
}

}  // namespace

Engine make_engine(const Recipe& recipe, model::Module& model, cluster::Communicator& ranks) {
  Engine engine;
  engine.backend = make_backend(recipe, ranks);
  move_buffers(model, engine.backend->device());
  const cluster::Levels levels = cluster::levels_of(cluster::find_topology(ranks));
  engine.state = std::make_unique<ShardedState>(model.parameters(), recipe, *engine.backend, ranks, levels);
  return engine;
}

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
// A grid of samples while training, so that people see how far a run is.
#pragma once

#include <string>

#include "cluster/communicator.h"
#include "data/shard_source.h"
#include "model/velocity_model.h"
#include "trainer/options.h"

namespace pathline::trainer {

/// All ranks: each solves its share of the ids, rank 0 writes the grid to `path`. Uses the model's present weights. The
/// noise is that of `pathline sample --seed` with the run's seed, so grids of a run show the same pathlines growing up.
void write_preview(model::VelocityModel& model, const data::SetInfo& info, const Recipe& recipe,
                   const std::string& path, cluster::Communicator& ranks);

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
// A picture of samples while training, so that people see how far a run is.
#pragma once

#include <string>

#include "cluster/communicator.h"
#include "cluster/whereabouts.h"
#include "data/shard_source.h"
#include "model/module.h"
#include "trainer/options.h"

namespace pathline::trainer {

/// All ranks: each solves its share of the ids, rank 0 draws them to `path`: images in a grid, points as dots at the
/// end of their pathlines, in the plane of their first two coordinates. Uses the model's present weights. The noise is
/// that of `pathline sample --seed` with the run's seed, so the pictures of a run show the same pathlines growing up.
/// Where storage refuses the picture, rank 0 warns and there is none. `here` is told of every evaluation of the
/// network.
void write_preview(model::Module& model, const data::SetInfo& info, const Recipe& recipe, const std::string& path,
                   cluster::Communicator& ranks, cluster::Whereabouts& here);

/// A preview must not end a run hours later: throws ExitCode::kUsage if its solver is none, or if there are to be
/// previews and samples of recipe.model are no picture.
void check_preview(const Recipe& recipe, const data::SetInfo& info);

}  // namespace pathline::trainer

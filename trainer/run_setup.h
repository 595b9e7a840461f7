// SPDX-License-Identifier: Apache-2.0
// Everything between the command line and the first step: recipe, run directory, data, model, state, checkpoint.
#pragma once

#include <memory>
#include <string>

#include "checkpoint/checkpoint.h"
#include "cluster/watchdog.h"
#include "trainer/dataset.h"
#include "trainer/engine.h"
#include "trainer/run_directory.h"
#include "trainer/training_run.h"

namespace pathline::trainer {

struct RunSetup {
  Recipe recipe;
  std::unique_ptr<cluster::Watchdog> watchdog;  // from the moment that the recipe is known
  std::unique_ptr<RunDirectory> directory;
  std::unique_ptr<Dataset> dataset;
  std::unique_ptr<model::Module> model;
  Engine engine;
  checkpoint::State progress;    // as restored, or at the start
  std::string resumed_from;      // a step-N directory, or empty
  std::int64_t saved_step = -1;  // of that, if it lies in this run's own directory
};

/// The recipe file with the command line's changes; nothing bound yet.
core::Config load_recipe(const RunRequest& request);

/// Fills in what the recipe leaves to the data set; throws ExitCode::kUsage where both say something else.
void take_from_data(core::Config& config, Recipe& recipe, const data::SetInfo& info);

/// All ranks; throws on all ranks together.
RunSetup prepare_run(const RunRequest& request, core::FileSystem& files, cluster::Communicator& ranks);

/// Throws ExitCode::kUsage for more ranks than slices.
void check_ranks(const Recipe& recipe, int ranks);

/// One paragraph for people: model, data, batch, slices by rank, where it starts.
std::string describe_run(const RunSetup& setup, const cluster::Communicator& ranks);

}  // namespace pathline::trainer

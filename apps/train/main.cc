// SPDX-License-Identifier: Apache-2.0
// `pathline train RECIPE.toml`: alone, under mpirun, under srun.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "apps/allocator.h"
#include "apps/cli.h"
#include "cluster/session.h"
#include "launch/signals.h"
#include "trainer/training_run.h"

namespace {

using namespace pathline;

trainer::Requests requests_from_signals() {
  const launch::SignalRequests signals = launch::take_signal_requests();
  return {signals.stop, signals.checkpoint};
}

}  // namespace

int main(int argc, char** argv) {
  launch::install_job_signal_handlers();
  apps::keep_large_blocks_mapped();
  CLI::App app{"Trains a model from a recipe, alone or under mpirun or srun; started again, it resumes.\n"
               "example: mpirun -n 2 pathline train recipes/quickstart.toml --set train.steps=500"};
  trainer::RunRequest request;
  bool dump = false;
  app.add_option("recipe", request.recipe, "TOML file (docs/recipes.md)")->required();
  app.add_option("--set", request.sets, "changes a key of the recipe: section.key=value")->take_all()->expected(1);
  app.add_option("--resume", request.resume, "auto: go on where the run was; never; or a checkpoint directory");
  app.add_flag("--dump", dump, "print the complete effective recipe and end");
  return apps::run_cli(app, argc, argv, [&] {
    if (dump) {
      std::fputs(trainer::effective_recipe(request).c_str(), stdout);
      return 0;
    }
    request.requests = requests_from_signals;
    return cluster::run_with_ranks(
        [&](cluster::Communicator& world) { return static_cast<int>(trainer::run_training(request, world)); });
  });
}

// SPDX-License-Identifier: Apache-2.0
// `pathline train RECIPE.toml`: alone, under mpirun, under srun.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <string>

#include "apps/allocator.h"
#include "apps/cli.h"
#include "apps/train/plan_report.h"
#include "cluster/session.h"
#include "core/error.h"
#include "launch/signals.h"
#include "trainer/planner.h"
#include "trainer/training_run.h"

namespace {

using namespace pathline;

trainer::Requests requests_from_signals() {
  const launch::SignalRequests signals = launch::take_signal_requests();
  return {signals.stop, signals.checkpoint};
}

void add_plan_options(CLI::App& app, trainer::PlanRequest& plan, bool& dry_run, bool& json) {
  CLI::Option* dry = app.add_flag("--dry-run", dry_run, "print what a run would take and end (docs/planning.md)");
  const auto option = [&](const char* name, auto& value, const char* help) {
    app.add_option(name, value, help)->needs(dry)->check(CLI::PositiveNumber);
  };
  app.add_option("--ranks", plan.ranks, "dry run, dump: ranks, which the recipe must allow; default 1")
      ->check(CLI::PositiveNumber);
  option("--ranks-per-node", plan.ranks_per_node, "dry run: of these on a node; default all");
  option("--flops-per-second", plan.flops_per_second,
         "dry run: what a rank reaches; default measured here on one slice");
  option("--memory-gbytes", plan.memory_gbytes, "dry run: GB/s of a rank's memory; default measured here");
  option("--latency-us", plan.network.latency_us, "dry run: of a message; default 5");
  option("--bandwidth-gbytes", plan.network.bandwidth_gbytes,
         "dry run: GB/s of a node's network, each way; default 12.5");
  option("--within-gbytes", plan.network.within_gbytes, "dry run: GB/s of a rank to others on its node; default 10");
  app.add_flag("--json", json, "dry run: one JSON object")->needs(dry);
}

}  // namespace

int main(int argc, char** argv) {
  launch::install_job_signal_handlers();
  apps::keep_large_blocks_mapped();
  CLI::App app{
      "Trains a model from a recipe, alone or under mpirun or srun; started again, it resumes.\n"
      "example: mpirun -n 2 pathline train recipes/quickstart.toml --set train.steps=500"};
  trainer::RunRequest request;
  bool dump = false;
  app.add_option("recipe", request.recipe, "TOML file (docs/recipes.md)")->required();
  app.add_option("--set", request.sets, "changes a key of the recipe: section.key=value")->take_all()->expected(1);
  std::int64_t overfit = 0;
  app.add_option("--overfit", overfit, "for finding mistakes: train on the first so many samples only, never mirrored")
      ->check(CLI::PositiveNumber);
  app.add_option("--resume", request.resume, "auto: go on where the run was; never; or a checkpoint directory");
  app.add_flag("--dump", dump, "print the complete effective recipe and end");
  trainer::PlanRequest plan;
  bool dry_run = false, json = false;
  add_plan_options(app, plan, dry_run, json);
  return apps::run_cli(app, argc, argv, [&] {
    if (overfit > 0) request.sets.push_back("data.overfit=" + std::to_string(overfit));
    PL_CHECK(plan.ranks == 1 || dump || dry_run, core::ExitCode::kUsage, "--ranks ", plan.ranks,
             " without --dry-run or --dump (a run has the ranks that a launcher starts). Write mpirun -n ", plan.ranks,
             " pathline train.");
    if (dump) {
      std::fputs(trainer::effective_recipe(request, plan.ranks).c_str(), stdout);
      return 0;
    }
    if (dry_run) {
      const trainer::Plan made = trainer::make_plan(trainer::recipe_to_plan(request), plan);
      std::fputs((json ? apps::plan_json(made) : apps::plan_text(made)).c_str(), stdout);
      return 0;
    }
    request.requests = requests_from_signals;
    request.hurry = launch::asked_to_hurry;
    return cluster::run_with_ranks(
        [&](cluster::Communicator& world) { return static_cast<int>(trainer::run_training(request, world)); });
  });
}

// SPDX-License-Identifier: Apache-2.0
// `pathline launch local RECIPE`: ranks on this machine under mpirun, supervised.
#include <CLI/CLI.hpp>
#include <memory>

#include "apps/launch/commands.h"
#include "apps/launch/recipe_facts.h"
#include "core/file_system.h"
#include "launch/back_ends.h"
#include "launch/supervisor.h"

namespace pathline::apps {
namespace {

struct LocalCommand {
  std::string recipe;
  std::vector<std::string> sets;
  int ranks = 1;
  bool restart = false;
  std::int64_t max_restarts = 0;
};

int supervise(const LocalCommand& command) {
  const RecipeFacts facts = recipe_facts(command.recipe, command.sets);
  launch::SupervisedRun run;
  run.ranks = command.ranks;
  run.command = {"mpirun",
                 "-n",
                 std::to_string(command.ranks),
                 "--oversubscribe",
                 "--bind-to",
                 "none",
                 "-x",
                 "PATHLINE_RESTART",
                 core::join_path(launch::own_directory(), "pathline"),
                 "train",
                 command.recipe};
  for (const auto& set : command.sets) run.command.insert(run.command.end(), {"--set", set});
  run.checkpoints = core::join_path(facts.run_directory, "checkpoints");
  run.patience = {command.restart, command.max_restarts, facts.restarts_without_progress};
  core::PosixFileSystem files;
  return launch::supervise(files, run);
}

}  // namespace

void add_local_command(CLI::App& app, Run& run) {
  const auto command = std::make_shared<LocalCommand>();
  CLI::App* sub = app.add_subcommand(
      "local",
      "Trains on this machine. Ctrl-C, TERM and USR2 write a checkpoint and stop (docs/recovery.md).\n"
      "Example: pathline launch local -n 2 --restart recipes/cifar10/cfm-linear.toml");
  sub->add_option("recipe", command->recipe, "TOML file (docs/recipes.md)")->required();
  sub->add_option("-n,--ranks", command->ranks, "processes; one for each GPU (default 1)")->check(CLI::PositiveNumber);
  sub->add_option("--set", command->sets, "changes a key of the recipe: section.key=value")->take_all()->expected(1);
  CLI::Option* restart = sub->add_flag("--restart", command->restart,
                                       "start again after every end that is not final, while it makes progress");
  sub->add_option("--max-restarts", command->max_restarts, "in all (default: any number)")
      ->check(CLI::PositiveNumber)
      ->needs(restart);
  sub->callback([&run, command] { run = [command] { return supervise(*command); }; });
}

}  // namespace pathline::apps

// SPDX-License-Identifier: Apache-2.0
// `pathline launch`: runs started on this machine or handed to Slurm.
#include "apps/launch/commands.h"

#include <CLI/CLI.hpp>

int main(int argc, char** argv) {
  CLI::App app{
      "Starts runs here or as Slurm jobs: with a checkpoint before they stop, and again after interruptions.\n"
      "Example: pathline launch slurm recipes/cifar10/cfm-linear.toml --gpus-per-node 8 --time 24:00:00 --submit",
      "pathline launch"};
  app.require_subcommand(1);
  pathline::apps::Run run;
  pathline::apps::add_local_command(app, run);
  pathline::apps::add_slurm_command(app, run);
  return pathline::apps::run_cli(app, argc, argv, [&] { return run(); });
}

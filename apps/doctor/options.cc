// SPDX-License-Identifier: Apache-2.0
#include "apps/doctor/options.h"

#include <CLI/CLI.hpp>

namespace pathline::apps {

const char* const kDoctorHelp =
    "Says what this machine and this allocation have, each line good, slow or broken with what to do; alone, under "
    "mpirun\n"
    "or under srun --mpi=pmix. Ends with 4 if anything is broken, else with 0.\n"
    "example: mpirun -n 2 pathline doctor --preflight recipes/quickstart.toml";

void add_options(CLI::App& app, DoctorOptions& options) {
  app.add_option("--preflight", options.preflight,
                 "RECIPE: the quick form for batch scripts, with this recipe's needs");
  app.add_option("--set", options.sets, "changes a key of that recipe: section.key=value")->take_all()->expected(1);
  app.add_option("--directory", options.directory, "storage to look at; default: the recipe's run.directory, or .");
  app.add_option("--data", options.data, "data set to look at; default: the recipe's data.path");
  app.add_option("--json", options.json, "write the lines as JSON to this file, or - for stdout instead of the text");
  app.add_option("--deadline", options.deadline, "seconds for everything; default 180, with --preflight 60")
      ->check(CLI::PositiveNumber);
}

}  // namespace pathline::apps

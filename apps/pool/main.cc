// SPDX-License-Identifier: Apache-2.0
// `pathline pool`: the dispatcher and its clients. `pathline pool worker` needs LibTorch and is a program of its own,
// which this one becomes.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <string_view>

#include "apps/cli.h"
#include "apps/pool/commands.h"
#include "core/error.h"
#include "core/file_system.h"
#include "launch/back_ends.h"
#include "launch/signals.h"

namespace pathline::apps {
namespace {

[[noreturn]] void become_worker(int argc, char** argv) {
  const std::string program = core::join_path(launch::own_directory(), "pathline-pool-worker");
  std::string name = "pathline pool worker";
  std::vector<char*> arguments = {name.data()};
  for (int i = 2; i < argc; ++i) arguments.push_back(argv[i]);
  arguments.push_back(nullptr);
  ::execv(program.c_str(), arguments.data());
  throw core::Error(core::ExitCode::kEnvironment, core::concat("cannot start ", program, ": ", core::errno_text(),
                                                               " (it is the worker). Build it with scripts/build."));
}

int program(int argc, char** argv) {
  CLI::App app{
      "The sampler pool: jobs, any number of workers that come and go, every sample exactly once.\n"
      "Example: pathline pool serve --pool pool & pathline pool worker --pool pool &\n"
      "         pathline pool submit --pool pool --checkpoint runs/quickstart --count 1000 -o set.h5 --wait",
      "pathline pool"};
  app.require_subcommand(1);
  std::function<int()> run;
  add_serve_command(app, run);
  app.add_subcommand("worker", "makes samples; see `pathline pool worker --help`");
  add_submit_command(app, run);
  add_status_command(app, run);
  add_wait_command(app, run);
  add_control_commands(app, run);
  return run_cli(app, argc, argv, [&] { return run(); });
}

}  // namespace
}  // namespace pathline::apps

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "worker") {
    return pathline::core::run_program([&]() -> int { pathline::apps::become_worker(argc, argv); });
  }
  const bool serves = argc > 1 && std::string_view(argv[1]) == "serve";
  if (!serves) pathline::launch::unblock_job_signals();
  return pathline::apps::program(argc, argv);
}

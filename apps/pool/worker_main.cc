// SPDX-License-Identifier: Apache-2.0
// `pathline pool worker`: makes samples for a pool. Alone, under mpirun (each rank is a worker) or as tasks of Slurm.
#include <CLI/CLI.hpp>

#include "apps/allocator.h"
#include "apps/cli.h"
#include "apps/pool/commands.h"
#include "apps/pool/worker.h"
#include "apps/sample/options.h"
#include "launch/signals.h"

namespace {

int program(int argc, const char* const* argv) {
  CLI::App app{
      "Makes samples for a pool until it is told to stop (TERM, INT, USR2).\n"
      "Example: mpirun -n 4 pathline pool worker --pool pool",
      "pathline pool worker"};
  pathline::apps::WorkerOptions options;
  pathline::apps::add_connect_options(app, options.connect);
  app.add_option("--name", options.name, "what people see (default: host and process)");
  app.add_option("--threads", options.threads,
                 "the most that it can give a job (default: 1 under mpirun or srun, else all cores)");
  pathline::apps::add_device_options(app, options.device, options.cuda_graph);
  app.add_option("--models", options.models, "different models kept loaded; the least recently used goes")
      ->capture_default_str();
  app.add_option("--exit-when-idle", options.exit_when_idle, "end with 0 after so many seconds without work");
  app.add_option("--patience", options.patience, "seconds to wait for a dispatcher that is away")
      ->capture_default_str();
  return pathline::apps::run_cli(app, argc, argv, [&] { return pathline::apps::run_worker(options); });
}

}  // namespace

int main(int argc, char** argv) {
  pathline::launch::install_job_signal_handlers();
  pathline::apps::keep_large_blocks_mapped();
  return program(argc, argv);
}

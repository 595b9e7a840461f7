// SPDX-License-Identifier: Apache-2.0
// `pathline sample`: a set of samples of a checkpointed model, alone or under mpirun.
#include <CLI/CLI.hpp>

#include "apps/allocator.h"
#include "apps/cli.h"
#include "apps/sample/options.h"
#include "apps/sample/run.h"
#include "apps/sample/trace.h"
#include "cluster/session.h"
#include "launch/signals.h"

int main(int argc, char** argv) {
  using namespace pathline;
  launch::install_job_signal_handlers();
  apps::keep_large_blocks_mapped();
  CLI::App app{
      "A set of samples of a trained model, alone or under mpirun: the same on any number of ranks. Interrupted, it "
      "goes on when it is started again.\n"
      "Example: pathline sample --checkpoint runs/quickstart --count 64 --guidance 2 -o samples.png",
      "pathline sample"};
  apps::SampleOptions options;
  apps::add_sample_options(app, options);
  return apps::run_cli(app, argc, argv, [&] {
    const auto run = options.trace ? apps::trace_sample : apps::run_sample;
    return cluster::run_with_ranks([&](cluster::Communicator& world) { return run(options, world); });
  });
}

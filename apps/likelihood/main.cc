// SPDX-License-Identifier: Apache-2.0
// `pathline likelihood`: bits per dimension (images) or nats (points) of a data set under a checkpointed flow, alone or
// under mpirun.
#include <CLI/CLI.hpp>

#include "apps/allocator.h"
#include "apps/cli.h"
#include "apps/likelihood/options.h"
#include "apps/likelihood/run.h"
#include "cluster/session.h"
#include "launch/signals.h"

namespace pathline::apps {
namespace {

void add_options(CLI::App& app, LikelihoodCommand& command) {
  sampler::LikelihoodOptions& how = command.how;
  app.add_option("--checkpoint", command.checkpoint, "run directory, its checkpoints/ or one step-N/")->required();
  app.add_option("--data", command.data, "image store, several, or a pattern")->required();
  app.add_option("--first", command.first, "first item")->capture_default_str();
  app.add_option("--count", command.count, "how many (default: all)");
  app.add_option("--labels", command.labels, "data: each item's own; null: none")->capture_default_str();
  app.add_flag("--exact", how.exact, "the divergence itself: a derivative for every dimension, for few dimensions");
  app.add_option("--probes", how.probes, "random vectors of Hutchinson's estimate, a solve each")
      ->capture_default_str();
  app.add_option("--dequantize", command.dequantize, "uniform or none")->capture_default_str();
  app.add_option("--solver", how.solver.solver, "a Runge-Kutta method of `pathline sample`")->capture_default_str();
  app.add_option("--steps", how.solver.steps, "of a solver with given steps")->capture_default_str();
  app.add_option("--rtol", how.solver.rtol, "of a solver that chooses steps")->capture_default_str();
  app.add_option("--atol", how.solver.atol, "likewise")->capture_default_str();
  app.add_option("--seed", how.seed, "of probes and dequantisation")->capture_default_str();
  app.add_option("--slots", how.slots, "solves in the network at once on a rank, a multiple of 16")
      ->capture_default_str();
  app.add_option("--ema", command.ema, "decay of the averaged weights, or none (default: the recipe's first)");
  app.add_option("--device", command.device, "where the network computes: auto (a GPU where there is one), cpu or cuda")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  app.add_option("--threads", command.threads, "of a rank (default: 1 under mpirun or srun, all cores alone)");
  app.add_option("-o,--output", command.output, ".npz of every item's figures");
  app.add_flag("--json", command.json, "print the result as JSON");
}

}  // namespace
}  // namespace pathline::apps

int main(int argc, char** argv) {
  using namespace pathline;
  launch::install_job_signal_handlers();
  apps::keep_large_blocks_mapped();
  CLI::App app{
      "Bits per dimension of a data set under a trained flow, alone or under mpirun: the same on any number of ranks.\n"
      "Example: pathline likelihood --checkpoint runs/cifar10 --data cifar10-test.h5 --count 512",
      "pathline likelihood"};
  apps::LikelihoodCommand command;
  apps::add_options(app, command);
  return apps::run_cli(app, argc, argv, [&] {
    return cluster::run_with_ranks([&](cluster::Communicator& world) { return apps::run_likelihood(command, world); });
  });
}

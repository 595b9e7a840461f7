// SPDX-License-Identifier: Apache-2.0
#include "apps/sample/options.h"

#include <CLI/CLI.hpp>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "sampler/tableau.h"

namespace pathline::apps {
namespace {

using core::ExitCode;

void add_solver_options(CLI::App& app, SampleOptions& options) {
  sampler::SolverOptions& solver = options.solver;
  app.add_option("--solver", solver.solver, core::listed(sampler::solver_names()))->capture_default_str();
  const auto given = [](bool& flag) { return [&flag](const std::string&) { return flag = true, std::string(); }; };
  app.add_option("--steps", solver.steps, "of a solver with fixed steps")
      ->capture_default_str()
      ->each(given(options.steps_given));
  app.add_option("--rtol", solver.rtol, "of a solver that chooses steps")
      ->capture_default_str()
      ->each(given(options.tolerance_given));
  app.add_option("--atol", solver.atol, "likewise")->capture_default_str()->each(given(options.tolerance_given));
  app.add_option("--guidance", solver.guidance, "W in v_null + W (v_cond - v_null); 1: none")->capture_default_str();
}

}  // namespace

void add_sample_options(CLI::App& app, SampleOptions& options) {
  app.add_option("--checkpoint", options.checkpoint, "run directory, its checkpoints/ or one step-N/")->required();
  app.add_option("--count", options.count, "how many samples")->required();
  app.add_option("--first", options.first, "id of the first sample: a part of a larger job")->capture_default_str();
  app.add_option("-o,--output", options.output,
                 ".h5, .npz or .tar; a name that ends with / for a folder of PNG files; .png for one picture of all")
      ->required();
  add_solver_options(app, options);
  app.add_option("--labels", options.labels,
                 "all, none, labels such as 3 or 0-9 or 0,4,7, or a file of one label a line; ids cycle through them "
                 "(default: all, where the model has labels)");
  app.add_option("--seed", options.seed, "of the noise")->capture_default_str();
  app.add_option("--slots", options.slots,
                 "samples in the network at once on a rank, a multiple of 16; auto: measured, once per job (default: by "
                 "count, at most 64)");
  app.add_option("--ema", options.ema,
                 "decay of the averaged weights, or none for the raw ones (default: the recipe's first)");
  app.add_option("--precision", options.precision, "of the network: fp32 or bf16; state and time stay as they are")
      ->capture_default_str()
      ->check(CLI::IsMember({"fp32", "bf16"}));
  app.add_option("--decoder", options.decoder, "TorchScript file: from the model's samples to pixels in [-1, 1]");
  app.add_flag("--pairs", options.pairs, "write what each sample was made from, too: /x0 (.h5 only)");
  app.add_option("--threads", options.threads,
                 "of a rank (default: as the job began, else 1 under mpirun or srun, all cores alone)");
  app.add_option("--part-size", options.part_size,
                 "samples in a part file at most (default: about 10 s of work); parts are what a kill does not lose");
  app.add_flag("--json", options.json, "print the result as JSON");
}

void check_sample_options(const SampleOptions& options) {
  PL_CHECK(options.first >= 0, ExitCode::kUsage, "--first is ", options.first, "; ids begin with 0.");
  PL_CHECK(options.count > 0, ExitCode::kUsage, "--count is ", options.count, "; it must be at least 1.");
  PL_CHECK(options.threads >= 0, ExitCode::kUsage, "--threads is ", options.threads, "; it must be at least 1.");
  PL_CHECK(options.part_size >= 0, ExitCode::kUsage, "--part-size is ", options.part_size, "; it must be at least 1.");
  const std::string note = sampler::solver_note(options.solver.solver);
  if (!note.empty()) core::log_info(note);
  const bool adaptive = sampler::find_tableau(options.solver.solver).adaptive();
  if (adaptive && options.steps_given) {
    core::log_warning("--steps is not used by ", options.solver.solver, ", which chooses its steps");
  }
  if (!adaptive && options.tolerance_given) core::log_warning("--rtol and --atol are not used by ", options.solver.solver);
}

}  // namespace pathline::apps

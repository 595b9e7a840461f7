// SPDX-License-Identifier: Apache-2.0
#include "apps/sample/options.h"

#include <CLI/CLI.hpp>
#include <cmath>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "sampler/part_store.h"
#include "sampler/solver.h"
#include "sampler/trajectory.h"

namespace pathline::apps {
namespace {

using core::ExitCode;

/// "0.2:0.8" into `from` and `to`.
std::string read_interval(const std::string& text, double& from, double& to) {
  const std::size_t colon = text.find(':');
  PL_CHECK(colon != std::string::npos, ExitCode::kUsage, "--guidance-interval ", text,
           " is no interval of times. Write both ends, as in 0.2:0.8.");
  from = core::parse_number(text.substr(0, colon), "--guidance-interval");
  to = core::parse_number(text.substr(colon + 1), "--guidance-interval");
  return {};
}

void add_guidance_options(CLI::App& app, SampleOptions& options) {
  sampler::SolverOptions& solver = options.solver;
  app.add_option("--guidance", solver.guidance_weights,
                 "W in v_null + W (v_cond - v_null); 1: none (default); several such as 1,2,4: ids cycle through them")
      ->delimiter(',');
  app.add_option("--guidance-interval", options.guidance_interval,
                 "a:b, times of flow (0 noise, 1 data) between which there is guidance (default: all)")
      ->each(
          [&solver](const std::string& text) { return read_interval(text, solver.guidance_from, solver.guidance_to); });
  app.add_option("--guidance-channels", solver.guidance_channels,
                 "guide only the first so many channels, 3 as DiT and SiT do (default: all)");
  app.add_option("--guide-with", options.guide_with,
                 "autoguidance: this checkpoint's weaker network takes the place of v_null");
  auto* const classifier =
      app.add_option("--classifier", options.classifier,
                     "checkpoint of a classifier, or TorchScript file, forward(x, t) to logits: its gradient towards "
                     "the sample's label guides, too");
  app.add_option("--classifier-scale", options.classifier_scale, "W in score + W grad log p(label | x, t)")
      ->capture_default_str()
      ->needs(classifier);
}

void add_noise_options(CLI::App& app, sampler::SolverOptions& solver) {
  app.add_option(
         "--diffusion", solver.diffusion,
         "of em, sheun, pc: constant, sbdm, sigma, linear, decreasing or inc-dec, each with :c for its strength")
      ->capture_default_str();
  app.add_option("--last-step", solver.last_step,
                 "of em, sheun, pc: mean (default), tweedie, euler or none; of Runge-Kutta steps: euler, as in EDM");
  app.add_option("--last-step-size", solver.last_step_size, "of em, sheun, pc (default: 0.04; 0.001 with none)");
  app.add_option("--snr", solver.snr, "of pc's corrector")->capture_default_str();
  app.add_option(
      "--noise-schedule", solver.noise_schedule,
      "ddpm-linear or cosine: the discrete times of ddpm and ddim (default: those that model.time_input names for a "
      "network that predicts noise at them; else ddpm-linear for ddpm, none for ddim)");
  app.add_option("--respacing", solver.respacing, "of ddpm and ddim, as guided-diffusion's: 250, 10,15,20 or ddim50");
  app.add_option("--variance", solver.variance, "of ddpm: fixed-small, fixed-large or learned-range")
      ->capture_default_str();
  app.add_option("--eta", solver.eta, "of ddim on a noise predictor: share of ddpm's noise")->capture_default_str();
  app.add_flag("!--no-clip-denoised", solver.clip_denoised, "ddpm, ddim: do not clamp the data they point to");
}

void add_solver_options(CLI::App& app, SampleOptions& options) {
  sampler::SolverOptions& solver = options.solver;
  app.add_option("--solver", solver.solver, core::listed(sampler::solver_names()))->capture_default_str();
  const auto given = [](bool& flag) { return [&flag](const std::string&) { return flag = true, std::string(); }; };
  app.add_option("--steps", solver.steps, "of a solver with given steps")
      ->capture_default_str()
      ->each(given(options.steps_given));
  app.add_option("--grid", solver.grid,
                 "of given steps: uniform, cosine, edm, shift:K or the times themselves, such as 0,0.2,1")
      ->capture_default_str();
  app.add_option("--path", options.path,
                 "follow this path instead of the one trained on, such as cosine or vp (docs/sampling.md)");
  app.add_option("--t0", options.t0,
                 "begin at this time of flow, on noise of the path's deviation there (default: 0, or where the path "
                 "begins)");
  app.add_option("--t1", options.t1, "end at this time, with the state there as it is (default: 1, the data)");
  app.add_option("--rtol", solver.rtol, "of a solver that chooses steps")
      ->capture_default_str()
      ->each(given(options.tolerance_given));
  app.add_option("--atol", solver.atol, "likewise")->capture_default_str()->each(given(options.tolerance_given));
  app.add_option("--controller", solver.controller, "likewise: i (as torchdiffeq), pi or pid")->capture_default_str();
  add_guidance_options(app, options);
  add_noise_options(app, solver);
}

}  // namespace

void add_device_options(CLI::App& app, std::string& device, bool& cuda_graph) {
  app.add_option("--device", device,
                 "where the network computes: auto (as the job began, else a GPU where there is one), cpu or cuda; a "
                 "rank takes one GPU of its host")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  app.add_flag("!--no-cuda-graph", cuda_graph,
               "start every kernel of the network by itself; for what cannot be captured");
}

void add_sample_options(CLI::App& app, SampleOptions& options) {
  app.add_option("--checkpoint", options.checkpoint, "run directory, its checkpoints/ or one step-N/")->required();
  app.add_option("--count", options.count, "how many samples");
  app.add_option("--first", options.first, "id of the first sample: a part of a larger job")->capture_default_str();
  app.add_option("-o,--output", options.output,
                 ".h5, .npz or .tar; a name that ends with / for a folder of PNG files; .png for one picture of all");
  app.add_flag("--overwrite", options.overwrite, "replace a set of another job that has the output's name");
  add_solver_options(app, options);
  app.add_option("--labels", options.labels,
                 "all, none, labels such as 3 or 0-9 or 0,4,7, or a file of one label a line; ids cycle through them "
                 "(default: all, where the model has labels)");
  app.add_option("--text", options.text,
                 ".h5 of encoded prompts, for models conditioned on text; ids cycle through them, and --labels chooses "
                 "some by number");
  app.add_option("--seed", options.seed, "of the noise")->capture_default_str();
  app.add_option(
      "--slots", options.slots,
      "samples in the network at once on a rank, a multiple of 16; auto: measured, once per job (default: by "
      "count, at most 64)");
  app.add_option("--ema", options.ema,
                 "decay of the averaged weights, or none for the raw ones (default: the recipe's first)");
  app.add_option("--precision", options.precision, "of the network: fp32 or bf16; state and time stay as they are")
      ->capture_default_str()
      ->check(CLI::IsMember({"fp32", "bf16"}));
  add_device_options(app, options.device, options.cuda_graph);
  app.add_option("--decoder", options.decoder, "TorchScript file: from the model's samples to pixels in [-1, 1]");
  app.add_option("--trajectories", options.trajectories,
                 "write the states at these times, such as 0,0.25,1, or at K even ones, too: /trajectory (.h5; in the "
                 "plane also .png)")
      ->each([&options](const std::string& text) {
        options.solver.trajectories = sampler::parse_trajectories(text);
        return std::string();
      });
  app.add_flag("--pairs", options.pairs, "write what each sample was made from, too: /x0 (.h5 only)");
  app.add_option("--mask", options.mask,
                 "of a model trained with flow.mask: fill in what is not known of the items of this set (.h5), by its "
                 "/masks (not 0: known) or by the model's law; sample i fills in row i modulo their number");
  app.add_option("--encode", options.encode,
                 "the other way: from the items of this set (.h5), one a sample, to their noise, which is written "
                 "beside them as /x0; labels are theirs (default count: all)");
  app.add_option("--start", options.start,
                 "start from /x0 of this set (.h5), such as --encode and --pairs write, sample i from row i; labels "
                 "are theirs (default count: all)");
  app.add_option("--moments", options.moments,
                 ".npz: mean and covariance of the samples' features, as `pathline evaluate moments` writes them");
  app.add_option("--features", options.features,
                 "of --moments: TorchScript network from pixels to features, or a run with a classifier (default: the "
                 "pixels themselves)");
  app.add_option("--threads", options.threads,
                 "of a rank (default: as the job began, else 1 under mpirun or srun, all cores alone)");
  app.add_option("--part-size", options.part_size,
                 "samples in a part file at most (default: about 10 s of work); parts are what a kill does not lose");
  app.add_option("--trace", options.trace,
                 "print every step of the sample with this id as a line of JSON, and write nothing");
  app.add_flag("--json", options.json, "print the result as JSON");
}

void check_sample_options(const SampleOptions& options) {
  PL_CHECK(options.first >= 0, ExitCode::kUsage, "--first is ", options.first, "; ids begin with 0.");
  PL_CHECK(options.first < sampler::kEndOfIds && options.count <= sampler::kEndOfIds - options.first, ExitCode::kUsage,
           "--first ", options.first, " and --count ", options.count, " go beyond id ", sampler::kEndOfIds - 1,
           ", the last one that there is. Use another --seed for more samples.");
  if (!options.trace) {
    PL_CHECK(options.count > 0, ExitCode::kUsage, "--count is ", options.count,
             "; it must be given and be at least 1.");
    PL_CHECK(!options.output.empty(), ExitCode::kUsage,
             "--output is missing (a set needs a place). Give one, such as -o samples.png.");
  }
  PL_CHECK(options.trace.value_or(0) >= 0, ExitCode::kUsage, "--trace is ", *options.trace, "; ids begin with 0.");
  PL_CHECK(options.threads >= 0, ExitCode::kUsage, "--threads is ", options.threads, "; it must be at least 1.");
  PL_CHECK(options.part_size >= 0, ExitCode::kUsage, "--part-size is ", options.part_size, "; it must be at least 1.");
  PL_CHECK(options.features.empty() || !options.moments.empty(), ExitCode::kUsage, "--features ", options.features,
           " was given without --moments, which alone needs it. Name a file with --moments, or leave it out.");
  PL_CHECK(options.moments.empty() || options.moments.ends_with(".npz"), ExitCode::kUsage, "--moments is ",
           options.moments, "; it must end with .npz.");
  PL_CHECK(options.moments.empty() || options.count >= 2, ExitCode::kUsage,
           "--moments was asked of a single sample; a covariance takes at least 2.");
  PL_CHECK(std::isfinite(options.classifier_scale) && options.classifier_scale != 0, ExitCode::kUsage,
           "--classifier-scale is ", options.classifier_scale,
           "; it must be a finite number other than 0. Leave --classifier out to go without.");
  const std::string note = sampler::solver_note(options.solver.solver);
  if (!note.empty()) core::log_info(note);
  const bool adaptive = sampler::find_solver(options.solver.solver).adaptive;
  if (adaptive && options.steps_given) {
    core::log_warning("--steps is not used by ", options.solver.solver, ", which chooses its steps");
  }
  if (!adaptive && options.tolerance_given)
    core::log_warning("--rtol and --atol are not used by ", options.solver.solver);
}

}  // namespace pathline::apps

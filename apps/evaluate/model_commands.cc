// SPDX-License-Identifier: Apache-2.0
#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "apps/evaluate/commands.h"
#include "cluster/self_communicator.h"
#include "core/error.h"
#include "core/file_system.h"
#include "core/log.h"
#include "model/classifier.h"
#include "sampler/checkpointed_model.h"
#include "sampler/distilled.h"
#include "sampler/path_field.h"
#include "sampler/slot_count.h"
#include "sampler/straightness.h"
#include "trainer/dataset.h"
#include "trainer/objective.h"
#include "trainer/validation.h"

namespace pathline::apps {
namespace {

using core::ExitCode;
using nlohmann::ordered_json;

struct Options {
  std::string checkpoint, ema, data, labels;
  std::int64_t count = 1000, times = 20, batch = 64, threads = 0, slots = 0, seed = 0;
  sampler::SolverOptions solver;
  bool json = false;
};

sampler::CheckpointedModel load(const Options& options) {
  PL_CHECK(options.count > 0 && options.batch > 0 && options.threads >= 0 && options.seed >= 0, ExitCode::kUsage,
           "--count and --batch must be positive, --threads and --seed not negative.");
  at::set_num_threads(options.threads > 0 ? static_cast<int>(options.threads)
                                          : static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  core::PosixFileSystem files;
  return sampler::load_checkpointed_model(files, options.checkpoint, options.ema);
}

std::vector<std::int64_t> labels_of(const Options& options, std::int64_t classes) {
  if (options.labels == "none" || (options.labels.empty() && classes <= 0)) return {-1};
  return sampler::parse_labels(options.labels.empty() ? "all" : options.labels, classes);
}

int straightness(const Options& options) {
  const sampler::CheckpointedModel loaded = load(options);
  const model::ModelOptions& model = loaded.model->options();
  PL_CHECK(!sampler::is_one_step(*loaded.model), ExitCode::kUsage, "model.name = \"", model.name,
           "\" maps noise to data in one go (there are no trajectories to be straight). Use a velocity model.");
  sampler::check_all_times(loaded.flow, "straightness");
  PL_CHECK(options.slots >= 0 && options.slots % sampler::kSlotMultiple == 0, ExitCode::kUsage, "--slots is ",
           options.slots, "; it must be a multiple of ", sampler::kSlotMultiple,
           " (kernels treat other batches unevenly).");
  sampler::Job job;
  job.sample_shape = sampler::sample_shape_of(model);
  job.null_label = sampler::null_label_of(model);
  job.slots = options.slots > 0 ? options.slots : sampler::usual_slots(options.count);
  job.seed = static_cast<std::uint64_t>(options.seed);
  job.solver = options.solver;
  const flow::Parameterisation trained = flow::parameterisation_of(loaded.flow);
  sampler::follow_path(job.solver, trained, "", loaded.flow.pairing.source == "gaussian");
  job.solver.denoise = false;  // a jump, no part of the trajectory
  const sampler::Field answers =
      trained.gives_own_time() ? sampler::noise_field_of(*loaded.model) : sampler::field_of(*loaded.model);
  job.source = sampler::open_starts(loaded.flow.pairing.source, job.sample_shape);
  const std::vector<std::int64_t> labels = labels_of(options, model.classes);
  const auto label_of = [&](std::int64_t id) { return labels[static_cast<std::size_t>(id) % labels.size()]; };
  const sampler::Straightness found =
      sampler::straightness(sampler::velocity_of(answers, trained), job, options.count, options.times, label_of);
  if (found.failed > 0) core::log_warning(found.failed, " samples failed and are left out");
  if (options.json) {
    const ordered_json result = {{"straightness", found.bend},   {"squared_length", found.length},
                                 {"relative", found.relative()}, {"by_time", found.by_time},
                                 {"count", found.count},         {"failed", found.failed}};
    std::printf("%s\n", result.dump().c_str());
  } else {
    std::printf(
        "S = E|v - (x1 - x0)|^2 = %.6g, %.6g of E|x1 - x0|^2 = %.6g (0: straight), over %lld trajectories at %lld "
        "times\n",
        found.bend, found.relative(), found.length, static_cast<long long>(found.count),
        static_cast<long long>(options.times));
  }
  return 0;
}

void print_bins(const std::vector<double>& bins) {
  for (std::size_t bin = 0; bin < bins.size(); ++bin) {
    std::printf("  t in [0.%zu, %s)  %.6g\n", bin,
                bin + 1 < bins.size() ? ("0." + std::to_string(bin + 1)).c_str() : "1.0", bins[bin]);
  }
}

int held_out_loss_of(const Options& options, sampler::CheckpointedModel& loaded) {
  const auto objective = trainer::make_objective(loaded.flow, static_cast<std::uint64_t>(options.seed), *loaded.model);
  trainer::DataOptions data;
  data.path = {options.data};
  data.validation = options.data;  // all of it is held out
  data.validation_samples = options.count;
  trainer::Dataset dataset(data, loaded.flow.pairing, static_cast<std::uint64_t>(options.seed));
  PL_CHECK(dataset.info().sample_shape() == sampler::sample_shape_of(loaded.model->options()), ExitCode::kInput,
           "the model of ", loaded.directory, " was made for items of another shape than ", dataset.info().description,
           ". Use data as the model was trained on.");
  const std::int64_t classes = loaded.model->options().classes;
  PL_CHECK(classes == 0 || dataset.info().classes <= classes, ExitCode::kInput, options.data, " has ",
           dataset.info().classes, " classes, and the model of ", loaded.directory, " knows ", classes,
           " (it was never asked about the others). Use data with the labels that it was trained on.");
  dataset.couple_validation(loaded.flow.pairing, classes > 0);
  const auto alone = cluster::make_self_communicator();
  const trainer::HeldOutLoss loss = *trainer::held_out_loss(dataset, *objective, *loaded.model, options.batch, *alone);
  if (options.json) {
    ordered_json result = {{"loss", loss.mean},
                           {"by_time", loss.by_time},
                           {"count", dataset.validation_count()},
                           {"weights", loaded.kind}};
    if (loss.accuracy) {
      result["accuracy"] = *loss.accuracy;
      result["accuracy_by_time"] = loss.accuracy_by_time;
    }
    std::printf("%s\n", result.dump().c_str());
    return 0;
  }
  std::printf("held-out loss %.6g over %lld samples, weights %s\n", loss.mean,
              static_cast<long long>(dataset.validation_count()), loaded.kind.c_str());
  print_bins(loss.by_time);
  if (loss.accuracy) {
    std::printf("accuracy %.6g\n", *loss.accuracy);
    print_bins(loss.accuracy_by_time);
  }
  return 0;
}

int held_out_loss(const Options& options) {
  sampler::CheckpointedModel loaded = load(options);
  return held_out_loss_of(options, loaded);
}

int classifier(const Options& options) {
  sampler::CheckpointedModel loaded = load(options);
  model::as_classifier(*loaded.model, "pathline evaluate classifier");
  return held_out_loss_of(options, loaded);
}

/// What both have.
CLI::App* add_command(CLI::App& app, const std::shared_ptr<Options>& options, Run& run, const char* name,
                      const char* help, int (*body)(const Options&)) {
  CLI::App* sub = app.add_subcommand(name, help);
  sub->add_option("--checkpoint", options->checkpoint, "run directory, its checkpoints/ or one step-N/")->required();
  sub->add_option("--ema", options->ema, "decay of the averaged weights, or none (default: the recipe's first)");
  sub->add_option("--count", options->count, "samples, at most")->capture_default_str();
  sub->add_option("--seed", options->seed, "key of the noise")->capture_default_str();
  sub->add_option("--threads", options->threads, "default: all cores");
  sub->add_flag("--json", options->json, "print the result as JSON");
  sub->callback([options, &run, body] { run = [options, body] { return body(*options); }; });
  return sub;
}

}  // namespace

void add_straightness(CLI::App& app, Run& run) {
  const auto options = std::make_shared<Options>();
  CLI::App* sub = add_command(app, options, run, "straightness",
                              "how straight a model's trajectories are: E|v - (x1 - x0)|^2", straightness);
  sub->add_option("--times", options->times, "places of a trajectory that are looked at")->capture_default_str();
  sub->add_option("--solver", options->solver.solver, "as of `pathline sample`, without noise")->capture_default_str();
  sub->add_option("--steps", options->solver.steps, "of a solver with given steps")->capture_default_str();
  sub->add_option("--rtol", options->solver.rtol, "of a solver that chooses steps")->capture_default_str();
  sub->add_option("--atol", options->solver.atol, "likewise")->capture_default_str();
  sub->add_option("--labels", options->labels, "that samples cycle through (default: all), or none");
  sub->add_option("--slots", options->slots, "samples in the network at once, a multiple of 16 (default: at most 64)");
}

namespace {

void add_data_options(CLI::App& sub, const std::shared_ptr<Options>& options) {
  sub.add_option("--data", options->data, "image store or points: .h5")->required();
  sub.add_option("--batch", options->batch, "samples in the network at once")->capture_default_str();
}

}  // namespace

void add_classifier(CLI::App& app, Run& run) {
  const auto options = std::make_shared<Options>();
  add_data_options(
      *add_command(app, options, run, "classifier",
                   "cross-entropy and share of labels told by a classifier, of held-out data by bins of t", classifier),
      options);
}

void add_held_out_loss(CLI::App& app, Run& run) {
  const auto options = std::make_shared<Options>();
  CLI::App* sub = add_command(app, options, run, "loss",
                              "the training loss of data that were held out, by bins of t, on a fixed keyed set of "
                              "(sample, t, noise)",
                              held_out_loss);
  add_data_options(*sub, options);
}

}  // namespace pathline::apps

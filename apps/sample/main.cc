// SPDX-License-Identifier: Apache-2.0
// `pathline sample`: samples of a checkpointed model into one file, alone or under mpirun.
#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "apps/allocator.h"
#include "apps/cli.h"
#include "cluster/agree.h"
#include "cluster/session.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/text.h"
#include "launch/signals.h"
#include "sampler/checkpointed_model.h"
#include "sampler/row_check.h"
#include "sampler/sink.h"
#include "sampler/spread.h"
#include "sampler/tableau.h"
#include "sampler/to_record.h"

namespace pathline::apps {
namespace {

using core::ExitCode;
using core::log_info;
using core::log_warning;

struct Options {
  std::string checkpoint, output, labels, ema;
  std::int64_t first = 0, count = 0;  // ids [first, first + count)
  std::int64_t slots = 0;  // 0: chosen from count
  std::int64_t threads = 0;
  std::uint64_t seed = 0;
  sampler::SolverOptions solver;
  bool json = false;
  bool steps_given = false, tolerance_given = false;
};

/// What all ranks do, as the options and the checkpoint's model determine it.
struct Plan {
  sampler::Job job;
  std::vector<std::int64_t> labels;  // ids cycle through them; empty: no labels
  std::string description;
  std::vector<std::string> class_names;

  std::int64_t label_of(std::int64_t id) const {
    return labels.empty() ? -1 : labels[static_cast<std::size_t>(id) % labels.size()];
  }
};

constexpr std::int64_t kSlotMultiple = 16, kMostSlots = 64;

/// A pure function of the count, so that any number of ranks chooses the same.
std::int64_t slots_for(const Options& options) {
  if (options.slots == 0) {
    return std::min(kMostSlots, (options.count + kSlotMultiple - 1) / kSlotMultiple * kSlotMultiple);
  }
  PL_CHECK(options.slots > 0 && options.slots % kSlotMultiple == 0, ExitCode::kUsage, "--slots is ", options.slots,
           "; it must be a multiple of ", kSlotMultiple, " (kernels treat other batches unevenly). Try ",
           std::max(kSlotMultiple, options.slots / kSlotMultiple * kSlotMultiple), ".");
  return options.slots;
}

std::vector<std::int64_t> labels_for(const Options& options, const model::ModelOptions& model) {
  if (options.labels == "none" || (options.labels.empty() && model.classes <= 0)) {
    return {};
  }
  return sampler::parse_labels(options.labels.empty() ? "all" : options.labels, model.classes);
}

void check_guidance(const Options& options, const model::ModelOptions& model) {
  PL_CHECK(options.solver.guidance == 1.0 || sampler::null_label_of(model) >= 0, ExitCode::kUsage, "--guidance ",
           options.solver.guidance, " was given, but this model has no null label to be guided away from. Leave it out.");
}

std::string description_of(const Options& options, const sampler::CheckpointedModel& loaded, std::int64_t slots) {
  const sampler::SolverOptions& solver = options.solver;
  const std::string how = sampler::find_tableau(solver.solver).adaptive()
                              ? core::concat("rtol ", solver.rtol, ", atol ", solver.atol)
                              : core::concat(solver.steps, " steps");
  return core::concat("step ", loaded.step, " of ", loaded.directory, ", weights ", loaded.kind, ", solver ",
                      solver.solver, ", ", how, ", guidance ", solver.guidance, ", seed ", options.seed, ", slots ",
                      slots, "; 8 bits: round((x + 1) * 127.5) clamped");
}

Plan plan_for(const Options& options, const sampler::CheckpointedModel& loaded) {
  const model::ModelOptions& model = loaded.model->options();
  check_guidance(options, model);
  Plan plan;
  plan.labels = labels_for(options, model);
  plan.job.sample_shape = sampler::sample_shape_of(model);
  plan.job.null_label = sampler::null_label_of(model);
  plan.job.slots = slots_for(options);
  plan.job.seed = options.seed;
  plan.job.solver = options.solver;
  plan.class_names = loaded.class_names;
  plan.description = description_of(options, loaded, plan.job.slots);
  return plan;
}

std::unique_ptr<sampler::Sink> sink_for(const Options& options, const Plan& plan, std::int64_t classes) {
  sampler::SinkOptions sink;
  sink.path = options.output;
  sink.first = options.first;
  sink.count = options.count;
  sink.sample_shape = plan.job.sample_shape;
  sink.labelled = !plan.labels.empty();
  sink.classes = classes;
  sink.columns = sampler::columns_for(options.count, static_cast<std::int64_t>(plan.labels.size()));
  sink.seed = options.seed;
  sink.description = plan.description;
  sink.class_names = plan.class_names;
  return sampler::make_sink(sink);
}

void say_notes(const Options& options) {
  const std::string note = sampler::solver_note(options.solver.solver);
  if (!note.empty()) log_info(note);
  const bool adaptive = sampler::find_tableau(options.solver.solver).adaptive();
  if (adaptive && options.steps_given) {
    log_warning("--steps is not used by ", options.solver.solver, ", which chooses its steps");
  }
  if (!adaptive && options.tolerance_given) log_warning("--rtol and --atol are not used by ", options.solver.solver);
}

void print(const Options& options, const sampler::Statistics& statistics) {
  const double rate = static_cast<double>(statistics.count) / std::max(statistics.seconds, 1e-9);
  if (options.json) {
    const nlohmann::ordered_json result = {{"count", statistics.count},
                                           {"failed", statistics.failed},
                                           {"images_per_second", rate},
                                           {"mean_nfe", statistics.mean_nfe},
                                           {"max_nfe", statistics.max_nfe},
                                           {"occupancy", statistics.occupancy},
                                           {"rejected_steps", statistics.rejected_steps},
                                           {"seconds", statistics.seconds},
                                           {"output", options.output}};
    std::printf("%s\n", result.dump().c_str());
    return;
  }
  std::printf("%s: %lld samples in %s (%.3g per second), %.4g evaluations each, at most %lld; %lld steps rejected, "
              "occupancy %.3f\n",
              options.output.c_str(), static_cast<long long>(statistics.count),
              core::human_seconds(statistics.seconds).c_str(), rate, statistics.mean_nfe,
              static_cast<long long>(statistics.max_nfe), static_cast<long long>(statistics.rejected_steps),
              statistics.occupancy);
}

void check_failures(const sampler::Statistics& statistics) {
  PL_CHECK(statistics.failed < statistics.count, ExitCode::kNumerical, "all ", statistics.count,
           " samples failed (not finite, steps too short or too many), so nothing was written. Loosen --rtol and "
           "--atol, or use an earlier checkpoint.");
  if (statistics.failed > 0) {
    log_warning(statistics.failed, " of ", statistics.count,
                " samples failed and are zero (in .h5 their status is 2); loosen --rtol and --atol");
  }
}

/// Under a launcher ranks share the cores, and one rank must give the bits of many.
int threads_for(const Options& options) {
  PL_CHECK(options.threads >= 0, ExitCode::kUsage, "--threads is ", options.threads, "; it must be at least 1.");
  if (options.threads > 0) return static_cast<int>(options.threads);
  return cluster::started_by_launcher() ? 1 : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int sample(const Options& options, cluster::Communicator& world) {
  const bool root = world.rank() == 0;
  core::configure_log({.rank = world.rank(), .ranks = world.size(), .file = {}, .level = core::LogLevel::kInfo});

  core::PosixFileSystem files;
  sampler::CheckpointedModel loaded;
  Plan plan;
  std::unique_ptr<sampler::Sink> sink;
  const auto field = cluster::together(world, [&] {
    at::set_num_threads(threads_for(options));
    PL_CHECK(options.first >= 0, ExitCode::kUsage, "--first is ", options.first, "; ids begin with 0.");
    PL_CHECK(options.count > 0, ExitCode::kUsage, "--count is ", options.count, "; it must be at least 1.");
    say_notes(options);
    loaded = sampler::load_checkpointed_model(files, options.checkpoint, options.ema);
    plan = plan_for(options, loaded);
    if (root) sink = sink_for(options, plan, loaded.model->options().classes);
    const sampler::Field of_model = sampler::field_of(*loaded.model);
    sampler::check_rows_independent(of_model, plan.job);
    return of_model;
  });

  core::Progress progress("sample", options.count, "samples", root);
  const sampler::Gathered gathered{[&](const sampler::Sample& made) { sink->put(sampler::to_record(made)); },
                                   [&](std::int64_t done) { progress.update(done); }};
  const sampler::Statistics statistics = sampler::generate_on_ranks(
      world, field, plan.job, options.first, options.first + options.count, [&](std::int64_t id) { return plan.label_of(id); }, gathered);
  progress.finish();
  cluster::together(world, [&] {
    if (!root) return;
    check_failures(statistics);
    sink->finish();
    print(options, statistics);
  });
  return 0;
}

int program(int argc, const char* const* argv) {
  CLI::App app{"Samples of a trained model into one file, alone or under mpirun: the same on any number of ranks.\n"
               "Example: pathline sample --checkpoint runs/shapes --count 64 --guidance 2 -o samples.png",
               "pathline sample"};
  Options options;
  sampler::SolverOptions& solver = options.solver;
  app.add_option("--checkpoint", options.checkpoint, "run directory, its checkpoints/ or one step-N/")->required();
  app.add_option("--count", options.count, "how many samples")->required();
  app.add_option("--first", options.first, "id of the first sample: a part of a larger job")->capture_default_str();
  app.add_option("-o,--output", options.output, ".png (one picture), .npz or .h5")->required();
  app.add_option("--solver", solver.solver, core::listed(sampler::solver_names()))->capture_default_str();
  CLI::Option* steps = app.add_option("--steps", solver.steps, "of a solver with fixed steps")->capture_default_str();
  CLI::Option* rtol = app.add_option("--rtol", solver.rtol, "of a solver that chooses steps")->capture_default_str();
  CLI::Option* atol = app.add_option("--atol", solver.atol, "likewise")->capture_default_str();
  app.add_option("--guidance", solver.guidance, "W in v_null + W (v_cond - v_null); 1: none")->capture_default_str();
  app.add_option("--labels", options.labels,
                 "all, none, labels such as 3 or 0-9 or 0,4,7, or a file of one label a line; ids cycle through them "
                 "(default: all, where the model has labels)");
  app.add_option("--seed", options.seed, "of the noise")->capture_default_str();
  app.add_option("--slots", options.slots,
                 "samples in the network at once on a rank, a multiple of 16 (default: by count)");
  app.add_option("--ema", options.ema,
                 "decay of the averaged weights, or none for the raw ones (default: the recipe's first)");
  app.add_option("--threads", options.threads, "of a rank (default: 1 under mpirun or srun, else all cores)");
  app.add_flag("--json", options.json, "print the result as JSON");
  return run_cli(app, argc, argv, [&] {
    options.steps_given = steps->count() > 0;
    options.tolerance_given = rtol->count() + atol->count() > 0;
    return cluster::run_with_ranks([&](cluster::Communicator& world) { return sample(options, world); });
  });
}

}  // namespace
}  // namespace pathline::apps

int main(int argc, char** argv) {
  pathline::launch::unblock_job_signals();
  pathline::apps::keep_large_blocks_mapped();
  return pathline::apps::program(argc, argv);
}

// SPDX-License-Identifier: Apache-2.0
#include "trainer/run_setup.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <sstream>
#include <system_error>
#include <thread>

#include "cluster/agree.h"
#include "core/crc32c.h"
#include "core/log.h"
#include "core/text.h"
#include "model/recompute.h"
#include "trainer/checkpoint_bridge.h"
#include "trainer/kernel_fingerprint.h"
#include "trainer/pair_starts.h"
#include "trainer/preview.h"
#include "trainer/restart_guard.h"
#include "trainer/rollback.h"
#include "trainer/same_inputs.h"
#include "trainer/starting_weights.h"
#include "trainer/teacher.h"

namespace pathline::trainer {
namespace {

using core::ExitCode::kInput;
using core::ExitCode::kUsage;

/// Empty if there is none at all. Each rank reads a share of the bytes.
std::string newest_good(core::FileSystem& files, const RunDirectory& directory, cluster::Communicator& ranks) {
  std::string found;
  cluster::together(ranks, [&] {  // all ranks fail, or none
    const auto say = [&](const std::string& bad) {
      if (ranks.rank() == 0) core::log_warning(bad);
    };
    found = checkpoint::newest_good(files, directory.checkpoints(), say, collectives(ranks)).value_or("");
  });
  return found;
}

/// The checkpoint that --resume means; empty for a new run. Of a directory rank 0 looks, all get its answer.
std::string find_checkpoint(const RunRequest& request, core::FileSystem& files, const RunDirectory& directory,
                            cluster::Communicator& ranks) {
  if (request.resume == "auto") return newest_good(files, directory, ranks);
  std::string found;
  cluster::together(ranks, [&] {
    if (ranks.rank() != 0) return;
    if (request.resume == "never") {
      PL_CHECK(checkpoint::list(files, directory.checkpoints()).empty(), core::ExitCode::kUsage, directory.path(),
               " holds checkpoints, and --resume never starts from nothing (they would be lost). ",
               "Give another run.directory, or leave --resume away to go on.");
    } else {
      found = checkpoint::resolve(files, request.resume);
    }
  });
  return cluster::word_of_root(ranks, found);
}

/// A run that is still written commits while we start: rank 0 says which of its checkpoints all ranks take. The recipe
/// as it is recorded keeps the run's name. `starts`: model.init is read.
void pin_sources(Recipe& recipe, core::FileSystem& files, bool starts, cluster::Communicator& ranks) {
  std::string& teacher = recipe.flow.distill.teacher;
  cluster::together(ranks, [&] {
    if (ranks.rank() != 0) return;
    if (starts) recipe.model.init = pinned_init(files, recipe.model.init);
    teacher = pinned_teacher(files, teacher);
  });
  recipe.model.init = cluster::word_of_root(ranks, recipe.model.init);
  teacher = cluster::word_of_root(ranks, teacher);
}

std::string checksum_of(const model::Module& model) {
  std::uint32_t crc = 0;
  for (const auto& parameter : model.parameters()) {
    const at::Tensor values = parameter.tensor.contiguous();
    crc = core::crc32c({static_cast<const std::byte*>(values.const_data_ptr()), values.nbytes()}, crc);
  }
  return core::concat("weights of crc32c ", core::crc32c_digits(crc));
}

/// One name a line, for those who sample the model.
std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : "\n") + name;
  return text;
}

core::Config stored_config(const checkpoint::Reader& reader) {
  return core::Config::from_text(reader.state().recipe, reader.directory() + "/manifest.json");
}

/// Keys that a run computed at its first start keep their values unless the recipe gives them.
void keep_computed_defaults(core::Config& config, core::Config& stored) {
  read_recipe(stored);
  for (const auto& [section, key] :
       {std::pair{"train", "slices"}, {"optimizer", "schedule_steps"}, {"run", "threads"}, {"data", "lanes"}}) {
    if (config.has(section, key)) continue;
    const std::string name = core::concat(section, ".", key);
    config.set(name + "=" + stored.effective().at(name).value);
  }
}

}  // namespace

namespace {

/// What a set of latents says about them goes into the recipe, and so into every checkpoint: whoever samples the model
/// makes latents again of what it makes.
void take_normalisation(core::Config& config, Recipe& recipe, const data::SetInfo& info) {
  data::LatentForm& known = recipe.data.latents;
  const auto fill = [&](const char* key, std::vector<double>& values, const std::vector<double>& held) {
    PL_CHECK(values.empty() || values == held, core::ExitCode::kUsage, "data.", key,
             " of the recipe is not what the data set says (", info.description,
             "; the model would be trained on other numbers than those it was meant for). Leave the key away: it is ",
             "taken from the data.");
    values = held;
    config.resolve("data", key, values);
  };
  fill("latent_shift", known.shift, info.latents.shift);
  fill("latent_scale", known.scale, info.latents.scale);
  PL_CHECK(info.kind != data::ItemKind::kLatent || !recipe.flow.objective.starts_with("nll-"), core::ExitCode::kUsage,
           "flow.objective = \"", recipe.flow.objective, "\" dequantises 8-bit images, and ", info.description,
           " holds latents. Train on the images, or with flow.objective = \"flow\".");
}

}  // namespace

void take_from_data(core::Config& config, Recipe& recipe, const data::SetInfo& info) {
  take_normalisation(config, recipe, info);
  model::ModelOptions& model = recipe.model;
  PL_CHECK(info.height == info.width, core::ExitCode::kInput, "the images are ", info.height, " x ", info.width,
           " (networks take square ones). Import them again with --size or --pad.");
  const auto fill = [&](const char* key, std::int64_t& value, std::int64_t unset, std::int64_t from_data) {
    PL_CHECK(value == unset || value == from_data, core::ExitCode::kUsage, "model.", key, " = ", value,
             ", but the data set has ", from_data, " (", info.description,
             "). Leave the key away: it is taken from the data.");
    value = from_data;
    config.resolve("model", key, value);
  };
  const bool points = info.kind == data::ItemKind::kPoint;
  fill("input_size", model.input_size, 0, points ? 0 : info.height);
  fill("input_channels", model.input_channels, 0, info.channels);
  if (model::takes_text(model)) {
    PL_CHECK(info.null_text != nullptr, core::ExitCode::kInput, model.name,
             " is trained on text, but the data set has no /text_embeddings (", info.description,
             "). Make a described set with `pathline data encode --text`.");
    fill("text_tokens", model.text_tokens, 0, info.text.tokens);
    fill("text_width", model.text_width, 0, info.text.width);
    fill("text_pooled", model.text_pooled, 0, info.text.pooled);
  }
  if (model.classes == -1) fill("classes", model.classes, -1, info.classes);
  PL_CHECK(model.classes == 0 || info.classes == model.classes, core::ExitCode::kUsage,
           "model.classes = ", model.classes, ", but the data set has ", info.classes, " (", info.description,
           "). Leave the key away, or use 0 to ignore labels.");
}

void check_ranks(const Recipe& recipe, int ranks) {
  PL_CHECK(ranks <= recipe.train.slices, core::ExitCode::kUsage, ranks,
           " ranks cannot share train.slices = ", recipe.train.slices,
           " (a slice is computed whole by one rank). Start at most ", recipe.train.slices,
           " ranks, or train a new run with more slices.");
}

namespace {

/// Labels have a term in the cost; prompts have none.
void warn_of_blind_coupling(const Recipe& recipe, const cluster::Communicator& ranks) {
  const bool blind = model::takes_text(recipe.model) && flow::Coupling::of(recipe.flow.pairing, false).permutes();
  if (blind && ranks.rank() == 0) {
    core::log_warning("flow.coupling = \"", recipe.flow.pairing.coupling, "\" does not look at prompts: training ",
                      "then shows each prompt only some of the noise, and sampling all of it");
  }
}

/// A run that goes on past its schedule would learn nothing more and look healthy.
void warn_of_ended_schedule(const Recipe& recipe, const cluster::Communicator& ranks) {
  const OptimizerOptions& optimizer = recipe.optimizer;
  const std::int64_t still = std::max(optimizer.schedule_steps, optimizer.warmup_steps + 1);
  if (optimizer.schedule == "constant" || recipe.train.steps <= still || ranks.rank() != 0) return;
  core::log_warning("the learning rate is 0 from step ", still, " on: optimizer.schedule_steps is ",
                    optimizer.schedule_steps,
                    ", the train.steps of the run's first start unless given, and train.steps ", recipe.train.steps,
                    ". To go on learning set optimizer.schedule_steps as well");
}

/// Pairs bring their starts; samples will begin with what flow.source says.
void warn_of_doubtful_starts(const Recipe& recipe, const Dataset& dataset, const cluster::Communicator& ranks) {
  const flow::CouplingOptions& pairing = recipe.flow.pairing;
  if (ranks.rank() != 0 || pairing.coupling != "pairs" || pairing.source != "gaussian") return;
  const std::string doubt = doubt_of_normal_starts(dataset.source());
  if (doubt.empty()) return;
  core::log_warning("the pairs of ", dataset.info().description, " did not start from normal noise (/x0 has ", doubt,
                    "), but samples will. Name what they start from with flow.source");
}

void check_changes(const checkpoint::State& progress, const std::string& fingerprint, const Dataset& dataset,
                   const cluster::Communicator& ranks) {
  if (progress.kernel_fingerprint != fingerprint && ranks.rank() == 0) {
    core::log_warning("the checkpoint was written with other kernels (", progress.kernel_fingerprint, "; here ",
                      fingerprint, "): same mathematics, not the same bits");
  }
  PL_CHECK(progress.data_fingerprint == dataset.fingerprint(), core::ExitCode::kUsage,
           "data.path holds another data set than the run was trained on (", dataset.fingerprint(),
           ", the checkpoint says ", progress.data_fingerprint,
           "; the order of samples would change in the middle). Restore it, or start a new run in ",
           "another run.directory with model.init naming this checkpoint.");
}

/// Which teacher a run has is written down at its start, and may not change.
void keep_teacher(checkpoint::State& progress, const std::string& identity, bool resumed) {
  std::string& known = progress.extra["teacher"];
  PL_CHECK(!resumed || known == identity, core::ExitCode::kUsage, "flow.teacher is another one (", identity,
           ") than the run had so far (", known,
           "; what is learned would change in the middle). Name that one, or start a new run in another run.directory ",
           "with model.init naming this checkpoint.");
  known = identity;
}

/// What every rank has read for itself. `init`, `teacher`: what tells their weights from others.
std::vector<Input> inputs_of(const RunSetup& setup, const core::Config& config, const std::string& init,
                             const std::string& teacher) {
  const std::string stage = " to that host again, or name one file that all hosts share.";
  return {{"data.path", setup.dataset->fingerprint(), kInput, "Copy the data" + stage},
          {"recipe", comparable(config), kUsage, "Start all ranks with one recipe and the same --set."},
          {"model.init", init, kInput, "Copy it" + stage},
          {"flow.teacher", teacher, kInput, "Copy it" + stage}};
}

}  // namespace

core::Config load_recipe(const RunRequest& request) {
  core::Config config = core::Config::from_file(request.recipe);
  for (const auto& assignment : request.sets) config.set(assignment);
  return config;
}

RunSetup prepare_run(const RunRequest& request, core::FileSystem& files, cluster::Communicator& ranks) {
  RunSetup setup;
  core::Config config;
  cluster::together(ranks, [&] {
    config = load_recipe(request);
    setup.recipe = read_recipe(config);
  });
  const cluster::Deadlines deadlines{setup.recipe.run.hang_seconds, setup.recipe.run.hang_grace_seconds};
  setup.watchdog = std::make_unique<cluster::Watchdog>(ranks, deadlines);
  core::LogOptions log{ranks.rank(), ranks.size(), "", core::LogLevel::kInfo};
  core::configure_log(log);
  setup.directory = std::make_unique<RunDirectory>(files, setup.recipe.run.directory, ranks);
  log.file = core::join_path(setup.directory->path(), "log.txt");
  cluster::together(ranks, [&] { core::configure_log(log); });  // rank 0 opens the file
  setup.watchdog->write_below(files, setup.directory->path());
  guard_restarts(files, setup.directory->path(), setup.directory->checkpoints(),
                 setup.recipe.run.restarts_without_progress, ranks);

  setup.resumed_from = find_checkpoint(request, files, *setup.directory, ranks);
  std::unique_ptr<checkpoint::Reader> reader;
  core::Config stored;
  cluster::together(ranks, [&] {
    if (!setup.resumed_from.empty()) {
      reader = std::make_unique<checkpoint::Reader>(files, setup.resumed_from);
      stored = stored_config(*reader);
      config = load_recipe(request);
      keep_computed_defaults(config, stored);
      setup.recipe = read_recipe(config);
    }
    check_ranks(setup.recipe, ranks.size());
  });
  pin_sources(setup.recipe, files, /*starts=*/reader == nullptr, ranks);
  std::string teacher;
  cluster::together(ranks, [&] {
    at::set_num_threads(static_cast<int>(setup.recipe.run.threads));
    const auto seed = static_cast<std::uint64_t>(setup.recipe.run.seed);
    setup.dataset = std::make_unique<Dataset>(setup.recipe.data, setup.recipe.flow.pairing, seed);
    const std::int64_t own_slices = (setup.recipe.train.slices + ranks.size() - 1) / ranks.size();
    setup.recipe.data.lanes = setup.dataset->arrange(setup.recipe.data, setup.recipe.train, own_slices);
    config.resolve("data", "lanes", setup.recipe.data.lanes);
    take_from_data(config, setup.recipe, setup.dataset->info());
    warn_of_blind_coupling(setup.recipe, ranks);
    warn_of_ended_schedule(setup.recipe, ranks);
    warn_of_doubtful_starts(setup.recipe, *setup.dataset, ranks);
    setup.dataset->couple_validation(setup.recipe.flow.pairing, setup.recipe.model.classes > 0);
    check_preview(setup.recipe, setup.dataset->info());
    if (reader) {
      for (const auto& change : check_resume(stored, config)) {
        if (ranks.rank() == 0) core::log_warning("resuming with another recipe: ", change);
      }
      setup.progress = reader->state();
      check_changes(setup.progress, kernel_fingerprint(setup.recipe.run.device), *setup.dataset, ranks);
    }
    if (!setup.recipe.flow.distill.teacher.empty()) {
      teacher = teacher_identity(files, setup.recipe.flow.distill.teacher);
      keep_teacher(setup.progress, teacher, reader != nullptr);
    }
    setup.model = model::make_module(setup.recipe.model, seed);
    setup.model->set_activation_checkpointing(
        model::parse_activation_checkpointing(setup.recipe.train.activation_checkpointing));
    if (!reader) load_starting_weights(files, setup.recipe.model, *setup.model);
  });
  const bool init_was_read = !reader && !setup.recipe.model.init.empty();
  check_same_inputs(inputs_of(setup, config, init_was_read ? checksum_of(*setup.model) : "", teacher), ranks);

  setup.engine = make_engine(setup.recipe, *setup.model, ranks);
  if (reader) {
    restore_state(*setup.engine.state, *reader, setup.recipe.checkpoint, ranks);
    std::error_code none;
    const bool ours =
        std::filesystem::equivalent(core::parent_of(setup.resumed_from), setup.directory->checkpoints(), none);
    set_aside_later_ones(files, setup.directory->checkpoints(), ours ? setup.progress.step : 0, ranks);
    if (ours) setup.saved_step = static_cast<std::int64_t>(setup.progress.step);
  }
  setup.model->set_training(true);
  setup.progress.seed = static_cast<std::uint64_t>(setup.recipe.run.seed);
  setup.progress.recipe = config.dump();
  setup.progress.kernel_fingerprint = kernel_fingerprint(setup.recipe.run.device);
  setup.progress.data_fingerprint = setup.dataset->fingerprint();
  setup.progress.versions = library_versions(setup.recipe.run.device);
  setup.progress.extra["class_names"] = joined(setup.dataset->info().class_names);
  cluster::together(ranks, [&] {
    if (ranks.rank() == 0)
      core::replace_file(files, core::join_path(setup.directory->path(), "recipe.toml"), config.dump());
  });
  return setup;
}

std::string describe_run(const RunSetup& setup, const cluster::Communicator& ranks) {
  std::int64_t parameters = 0;
  for (const auto& parameter : setup.model->parameters()) parameters += parameter.tensor.numel();
  std::ostringstream text;
  text.precision(3);
  text << setup.recipe.model.name << " with " << static_cast<double>(parameters) / 1e6 << " M parameters on "
       << setup.dataset->info().description << "; " << setup.dataset->training_count() << " samples to train on, "
       << setup.dataset->validation_count() << " held out" << setup.dataset->arrangement() << "; batch "
       << setup.recipe.train.batch << " in " << setup.recipe.train.slices << " slices over " << ranks.size()
       << (ranks.size() == 1 ? " rank" : " ranks") << " of " << setup.recipe.run.threads
       << (setup.recipe.run.threads == 1 ? " thread" : " threads");
  const std::int64_t cores = std::thread::hardware_concurrency();
  if (ranks.size() == 1 && setup.recipe.run.threads < cores && setup.engine.backend->device().is_cpu()) {
    text << " (this host has " << cores << " cores: `mpirun -n`, or run.threads in a new run, takes more of them)";
  }
  const auto most = (setup.recipe.train.slices + ranks.size() - 1) / ranks.size();
  if (most * ranks.size() != setup.recipe.train.slices) {
    text << " (uneven: ranks with " << most << " slices set the pace, "
         << 100 * (most * ranks.size() - setup.recipe.train.slices) / (most * ranks.size())
         << " % of the machine waits)";
  }
  if (setup.resumed_from.empty())
    text << "; a new run in " << setup.directory->path();
  else
    text << "; resumed from " << setup.resumed_from << " at step " << setup.progress.step;
  return text.str();
}

}  // namespace pathline::trainer

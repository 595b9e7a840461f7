// SPDX-License-Identifier: Apache-2.0
#include "trainer/options.h"

#include <algorithm>
#include <sstream>

#include "core/choice.h"
#include "core/error.h"
#include "data/latents.h"
#include "model/recompute.h"

namespace pathline::trainer {
namespace {

using core::Config;
using core::OnResume;

void bind(Config& c, RunOptions& o) {
  c.bind("run", "directory", o.directory, OnResume::kFree,
         "checkpoints/, metrics.jsonl, events for TensorBoard, samples/");
  c.bind("run", "seed", o.seed, OnResume::kFixed, "key of everything random");
  c.bind("run", "threads", o.threads, OnResume::kFixed, "CPU threads a rank; part of the bits");
  c.bind("run", "device", o.device, OnResume::kFree, "auto: a GPU where there is one | cpu | cuda");
  c.bind("run", "hang_seconds", o.hang_seconds, OnResume::kFree,
         "without progress until the run is ended with 67; 0: never");
  c.bind("run", "hang_grace_seconds", o.hang_grace_seconds, OnResume::kFree,
         "on top while setting up, validating, saving and drawing previews");
  c.bind("run", "wall_minutes", o.wall_minutes, OnResume::kFree,
         "of a start; before they are over it writes a checkpoint and stops with 64; 0: no limit");
  c.bind("run", "restarts_without_progress", o.restarts_without_progress, OnResume::kFree,
         "after as many restarts in a row without a newer checkpoint it ends with 65; 0: never");
}

void bind(Config& c, DataOptions& o) {
  c.bind("data", "path", o.path, OnResume::kFree, "image store: one file, several, or a pattern");
  c.bind("data", "flip", o.flip, OnResume::kFixed, "mirror half of the visits left-right");
  c.bind("data", "dequantize", o.dequantize, OnResume::kFixed,
         "none | uniform: 8-bit pixels with a keyed part of a level added, for likelihoods");
  c.bind("data", "validation", o.validation, OnResume::kFixed, "held out: a share (0.02) or a file; 0 for none");
  c.bind("data", "validation_samples", o.validation_samples, OnResume::kFree,
         "at most this many are evaluated each time");
  c.bind("data", "overfit", o.overfit, OnResume::kFixed,
         "for finding mistakes: train on the first so many samples only, never mirrored; 0: on all");
  c.bind("data", "lanes", o.lanes, OnResume::kFixed,
         "compressed chunks of several samples: as many are open for each slice; 0: samples in any order; -1: by size");
  c.bind("data", "decoded_mb", o.decoded_mb, OnResume::kFree,
         "of decoded chunks that one rank with all slices may hold");
  c.bind("data", "loader_threads", o.loader_threads, OnResume::kFree, "threads a rank that prepare batches");
  c.bind("data", "loader_depth", o.loader_depth, OnResume::kFree, "batches prepared ahead");
  data::bind(c, o.latents);
}

void bind(Config& c, TrainOptions& o) {
  c.bind("train", "steps", o.steps, OnResume::kChangeable, "optimizer steps");
  c.bind("train", "batch", o.batch, OnResume::kFixed, "samples a step, over all ranks");
  c.bind("train", "slices", o.slices, OnResume::kFixed,
         "equal parts of a batch, the most ranks a run can use; 0: largest power of two <= min(64, batch/16)");
  c.bind("train", "micro_batch", o.micro_batch, OnResume::kFixed,
         "samples of a slice that are computed at once; less memory; 0: the whole slice");
  c.bind("train", "precision", o.precision, OnResume::kFixed, "fp32 | bf16 (parameters and activations; masters fp32)");
  c.bind("train", "tf32", o.tf32, OnResume::kFixed,
         "on GPUs, fp32 products of TF32 inputs (10 bits): faster, less exact");
  c.bind("train", "cuda_graph", o.cuda_graph, OnResume::kFree,
         "on GPUs, replay a slice's pass as one graph: less work for the host");
  c.bind("train", "reduction", o.reduction, OnResume::kFixed,
         "tree: the same bits on any number of ranks | fastest: the library's own order");
  c.bind("train", "bucket_mb", o.bucket_mb, OnResume::kFixed, "MiB of fp32 gradients that are reduced in one go");
  c.bind("train", "activation_checkpointing", o.activation_checkpointing, OnResume::kFree,
         "none | every:n | all: blocks computed again in the backward pass; less memory, the same bits");
  c.bind("train", "clip", o.clip, OnResume::kChangeable, "largest global gradient norm; 0: no clipping");
  c.bind("train", "skips_before_rollback", o.skips_before_rollback, OnResume::kChangeable,
         "steps in a row that are not finite before the run goes back to a checkpoint");
  c.bind("train", "rollbacks", o.rollbacks, OnResume::kChangeable,
         "as often without reaching a newer checkpoint; then exit code 66");
}

void bind(Config& c, OptimizerOptions& o) {
  c.bind("optimizer", "name", o.name, OnResume::kFixed, "adamw | lion");
  if (o.name == "lion") o.beta2 = 0.99;  // the default of its paper
  c.bind("optimizer", "lr", o.lr, OnResume::kChangeable, "learning rate after warm-up");
  c.bind("optimizer", "beta1", o.beta1, OnResume::kChangeable, "decay of the first moment");
  c.bind("optimizer", "beta2", o.beta2, OnResume::kChangeable, "decay of the second moment; lion: of its moment, 0.99");
  c.bind("optimizer", "epsilon", o.epsilon, OnResume::kChangeable, "added to the root of the second moment");
  c.bind("optimizer", "weight_decay", o.weight_decay, OnResume::kChangeable, "decoupled, a step times lr");
  c.bind("optimizer", "groups", o.groups, OnResume::kChangeable,
         "per parameter: [\"*.bias: weight_decay=0\", \"final_layer.*: lr=0.1\"], lr a factor; later ones win");
  c.bind("optimizer", "warmup_steps", o.warmup_steps, OnResume::kChangeable, "linear warm-up from 0");
  c.bind("optimizer", "schedule", o.schedule, OnResume::kChangeable, "constant | cosine (to 0)");
  c.bind("optimizer", "schedule_steps", o.schedule_steps, OnResume::kChangeable,
         "horizon of the schedule; 0: train.steps of the first start");
}

void bind(Config& c, Recipe& r) {
  c.bind("ema", "decays", r.ema.decays, OnResume::kFixed, "averages of the weights; the first is what is sampled");
  c.bind("ema", "warmup", r.ema.warmup, OnResume::kChangeable, "ratio: min(decay, (1 + n) / (10 + n)) | none");
  c.bind("checkpoint", "background", r.checkpoint.background, OnResume::kFree,
         "write while training goes on, from a copy; false: training waits, and no memory is taken for the copy");
  c.bind("checkpoint", "write_share", r.checkpoint.write_share, OnResume::kFree,
         "of the time, for the thread that writes while training goes on; 1: as fast as storage takes it");
  c.bind("checkpoint", "every_steps", r.checkpoint.every_steps, OnResume::kFree, "0: only at the end");
  c.bind("checkpoint", "every_minutes", r.checkpoint.every_minutes, OnResume::kFree, "0: never by time");
  c.bind("checkpoint", "keep_last", r.checkpoint.keep_last, OnResume::kFree, "newest ones that stay");
  c.bind("checkpoint", "keep_every_steps", r.checkpoint.keep_every_steps, OnResume::kFree,
         "these stay for ever; 0: none");
  c.bind("checkpoint", "keep_every_hours", r.checkpoint.keep_every_hours, OnResume::kFree,
         "one for every so many hours stays for ever; 0: none");
  c.bind("checkpoint", "keep_best", r.checkpoint.keep_best, OnResume::kFree, "so many with the best best_metric stay");
  c.bind("checkpoint", "best_metric", r.checkpoint.best_metric, OnResume::kFree,
         "held_out_loss | ema_held_out_loss (of the first average) | loss (of the batch)");
  c.bind("checkpoint", "best_mode", r.checkpoint.best_mode, OnResume::kFree, "min | max");
  c.bind("checkpoint", "read", r.checkpoint.read, OnResume::kFree,
         "each: every rank reads its own part | broadcast: rank 0 reads all, for storage that many readers slow down");
  c.bind("sample", "every_steps", r.sample.every_steps, OnResume::kFree, "a grid of samples; 0: none");
  c.bind("sample", "count", r.sample.count, OnResume::kFree, "samples in the grid");
  c.bind("sample", "solver", r.sample.solver, OnResume::kFree, "as pathline sample --solver");
  c.bind("sample", "steps", r.sample.steps, OnResume::kFree, "of fixed-step solvers");
  c.bind("sample", "guidance", r.sample.guidance, OnResume::kFree, "1: none");
  c.bind("log", "every_steps", r.log.every_steps, OnResume::kFree, "steps between lines of metrics.jsonl");
  c.bind("log", "validate_every_steps", r.log.validate_every_steps, OnResume::kFree,
         "held-out loss; 0: at checkpoints");
  c.bind("log", "norms_every_steps", r.log.norms_every_steps, OnResume::kFree,
         "norm of gradient and of update of every block of the network; 0: never");
  c.bind("log", "prometheus", r.log.prometheus, OnResume::kFree,
         "HOST:PORT where rank 0 serves metrics to Prometheus; a port alone: to this machine only; empty: nowhere");
}

void check_at_least(const char* key, double value, double least) {
  PL_CHECK(value >= least, core::ExitCode::kUsage, key, " = ", value, " is too small (it must be at least ", least,
           "). Change it in the recipe or with --set ", key, "=...");
}

/// A run must not keep the best by a number that it never measures.
void check_best(const Recipe& r) {
  const std::string& metric = r.checkpoint.best_metric;
  if (r.checkpoint.keep_best == 0 || metric == "loss") return;
  const bool average = metric == "ema_held_out_loss";
  PL_CHECK(r.data.held_out_share() != 0 && !(average && r.ema.decays.empty()), core::ExitCode::kUsage,
           "checkpoint.keep_best = ", r.checkpoint.keep_best, ", but nothing measures \"", metric,
           "\" (no checkpoint would count as best). Set data.validation", average ? " and ema.decays" : "",
           ", or another checkpoint.best_metric.");
}

void check_values(const Recipe& r) {
  PL_CHECK(!r.data.path.empty(), core::ExitCode::kUsage,
           "data.path is missing (training needs images). Give a file made by `pathline data import` or `pathline data "
           "make`.");
  check_at_least("run.threads", static_cast<double>(r.run.threads), 1);
  check_at_least("run.hang_seconds", r.run.hang_seconds, 0);
  check_at_least("run.hang_grace_seconds", r.run.hang_grace_seconds, 0);
  check_at_least("run.wall_minutes", r.run.wall_minutes, 0);
  check_at_least("run.restarts_without_progress", static_cast<double>(r.run.restarts_without_progress), 0);
  check_at_least("data.lanes", static_cast<double>(r.data.lanes), -1);
  check_at_least("data.decoded_mb", r.data.decoded_mb, 1);
  check_at_least("data.loader_threads", static_cast<double>(r.data.loader_threads), 1);
  check_at_least("data.loader_depth", static_cast<double>(r.data.loader_depth), 1);
  check_at_least("data.validation_samples", static_cast<double>(r.data.validation_samples), 1);
  core::check_choice("data.dequantize", r.data.dequantize, {"none", "uniform"});
  PL_CHECK(r.data.dequantize == "none" || !r.flow.objective.starts_with("nll-"), core::ExitCode::kUsage,
           "data.dequantize = \"", r.data.dequantize, "\" with flow.objective = \"", r.flow.objective,
           "\", which dequantises pixels itself (twice would blur them). Leave data.dequantize out.");
  check_at_least("data.overfit", static_cast<double>(r.data.overfit), 0);
  check_at_least("train.steps", static_cast<double>(r.train.steps), 1);
  check_at_least("train.batch", static_cast<double>(r.train.batch), 1);
  check_at_least("train.bucket_mb", r.train.bucket_mb, 0.015625);
  check_at_least("train.clip", r.train.clip, 0);
  check_at_least("train.skips_before_rollback", static_cast<double>(r.train.skips_before_rollback), 1);
  check_at_least("train.rollbacks", static_cast<double>(r.train.rollbacks), 0);
  check_at_least("optimizer.lr", r.optimizer.lr, 0);
  for (const auto& [key, decay] : {std::pair{"beta1", r.optimizer.beta1}, {"beta2", r.optimizer.beta2}}) {
    PL_CHECK(decay >= 0 && decay < 1, core::ExitCode::kUsage, "optimizer.", key, " = ", decay,
             " is no decay of a moment (weights would not stay finite). Use a number from 0 to below 1.");
  }
  PL_CHECK(r.optimizer.epsilon > 0, core::ExitCode::kUsage, "optimizer.epsilon = ", r.optimizer.epsilon,
           " must be above 0 (a gradient of 0 would be divided by 0). The usual value is 1e-8.");
  check_at_least("optimizer.weight_decay", r.optimizer.weight_decay, 0);
  check_at_least("optimizer.warmup_steps", static_cast<double>(r.optimizer.warmup_steps), 0);
  PL_CHECK(r.checkpoint.write_share >= 0.01 && r.checkpoint.write_share <= 1, core::ExitCode::kUsage,
           "checkpoint.write_share = ", r.checkpoint.write_share,
           " is not a share of the time (checkpoints would never be done). Use a number from 0.01 to 1.");
  check_at_least("checkpoint.every_steps", static_cast<double>(r.checkpoint.every_steps), 0);
  check_at_least("checkpoint.every_minutes", r.checkpoint.every_minutes, 0);
  check_at_least("checkpoint.keep_every_steps", static_cast<double>(r.checkpoint.keep_every_steps), 0);
  check_at_least("checkpoint.keep_last", static_cast<double>(r.checkpoint.keep_last), 1);
  check_at_least("checkpoint.keep_every_hours", r.checkpoint.keep_every_hours, 0);
  check_at_least("checkpoint.keep_best", static_cast<double>(r.checkpoint.keep_best), 0);
  core::check_choice("checkpoint.best_metric", r.checkpoint.best_metric,
                     {"held_out_loss", "ema_held_out_loss", "loss"});
  core::check_choice("checkpoint.best_mode", r.checkpoint.best_mode, {"min", "max"});
  check_best(r);
  check_at_least("sample.every_steps", static_cast<double>(r.sample.every_steps), 0);
  check_at_least("sample.count", static_cast<double>(r.sample.count), 1);
  check_at_least("sample.steps", static_cast<double>(r.sample.steps), 1);
  check_at_least("log.every_steps", static_cast<double>(r.log.every_steps), 1);
  check_at_least("log.validate_every_steps", static_cast<double>(r.log.validate_every_steps), 0);
  check_at_least("log.norms_every_steps", static_cast<double>(r.log.norms_every_steps), 0);
  core::check_choice("run.device", r.run.device, {"auto", "cpu", "cuda"});
  core::check_choice("train.precision", r.train.precision, {"fp32", "bf16"});
  core::check_choice("train.reduction", r.train.reduction, {"tree", "fastest"});
  core::check_choice("optimizer.name", r.optimizer.name, {"adamw", "lion"});
  model::parse_activation_checkpointing(r.train.activation_checkpointing);  // refuses what it does not know
  core::check_choice("optimizer.schedule", r.optimizer.schedule, {"constant", "cosine"});
  core::check_choice("checkpoint.read", r.checkpoint.read, {"each", "broadcast"});
  core::check_choice("ema.warmup", r.ema.warmup, {"ratio", "none"});
  for (const double decay : r.ema.decays) {
    PL_CHECK(decay > 0 && decay < 1, core::ExitCode::kUsage, "ema.decays holds ", decay,
             ", which is no decay of an average. Use numbers between 0 and 1, for example [0.999, 0.9999].");
  }
}

void check_slices(const TrainOptions& train) {
  PL_CHECK(train.slices >= 1 && train.batch % train.slices == 0, core::ExitCode::kUsage, "train.batch = ", train.batch,
           " cannot be cut into train.slices = ", train.slices,
           " equal slices (every slice has the same shape, so that the bits do not depend on the number of ranks). ",
           "Make the batch a multiple of the slices.");
  const std::int64_t slice = train.batch / train.slices;
  PL_CHECK(train.micro_batch >= 0 && (train.micro_batch == 0 || slice % train.micro_batch == 0), core::ExitCode::kUsage,
           "a slice of ", slice,
           " samples (train.batch / train.slices) cannot be cut into equal parts of train.micro_batch = ",
           train.micro_batch, ". Use a divisor of ", slice, ", or 0 for the whole slice.");
}

}  // namespace

double DataOptions::held_out_share() const {
  char* end = nullptr;
  const double share = std::strtod(validation.c_str(), &end);
  return end != validation.c_str() && *end == '\0' ? share : -1.0;
}

std::int64_t default_slices(std::int64_t batch) {
  std::int64_t slices = 1;
  while (2 * slices <= std::min<std::int64_t>(64, batch / 16)) slices *= 2;
  return slices;
}

std::string ema_kind(double decay) {
  std::ostringstream text;
  text.precision(12);
  text << "ema-" << decay;
  return text.str();
}

Recipe read_recipe(Config& config) {
  Recipe recipe;
  bind(config, recipe.run);
  bind(config, recipe.data);
  flow::bind(config, recipe.flow);
  // A network that is shown what is known of a sample has more input channels.
  if (recipe.flow.mask != "none" && !config.has("model", "inpaint")) config.set("model.inpaint=true");
  model::bind(config, recipe.model);
  bind(config, recipe.train);
  bind(config, recipe.optimizer);
  bind(config, recipe);
  config.refuse_unknown_keys();
  if (recipe.train.slices == 0) recipe.train.slices = default_slices(recipe.train.batch);
  if (recipe.optimizer.schedule_steps == 0) recipe.optimizer.schedule_steps = recipe.train.steps;
  config.resolve("train", "slices", recipe.train.slices);
  config.resolve("optimizer", "schedule_steps", recipe.optimizer.schedule_steps);
  check_values(recipe);
  check_slices(recipe.train);
  return recipe;
}

std::vector<std::string> check_resume(const Config& stored, const Config& wanted) {
  std::vector<std::string> changes;
  for (const auto& [key, entry] : wanted.effective()) {
    const auto before = stored.effective().find(key);
    if (before == stored.effective().end() || before->second.value == entry.value) continue;
    PL_CHECK(entry.on_resume != OnResume::kFixed, core::ExitCode::kUsage, "the recipe says ", key, " = ", entry.value,
             ", but the checkpoint was trained with ", before->second.value,
             " (this key is fixed for the life of a run). Restore the old value, or start a new run in another "
             "run.directory with model.init naming this checkpoint.");
    if (entry.on_resume == OnResume::kChangeable) {
      changes.push_back(core::concat(key, " changes from ", before->second.value, " to ", entry.value));
    }
  }
  return changes;
}

}  // namespace pathline::trainer

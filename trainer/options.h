// SPDX-License-Identifier: Apache-2.0
// The recipe of a training run: every section with its defaults. One struct a section; model and flow bind their own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"
#include "data/shard_source.h"
#include "flow/flow_options.h"
#include "model/model_options.h"

namespace pathline::trainer {

struct RunOptions {
  std::string directory = "runs/default";
  std::int64_t seed = 0;
  std::int64_t threads = 1;     // CPU threads a rank; part of the bits
  std::string device = "auto";  // auto | cpu | cuda
  double hang_seconds = 600;
  double hang_grace_seconds = 1200;
  double wall_minutes = 0;
  std::int64_t restarts_without_progress = 3;
};

struct DataOptions {
  std::vector<std::string> path;
  bool flip = false;
  std::string dequantize = "none";  // none | uniform
  std::string validation = "0";     // a share ("0.02") or a file
  std::int64_t validation_samples = 512;
  std::int64_t overfit = 0;  // train on so many samples only; 0: on all
  std::int64_t lanes = -1;   // for each slice; 0: none; -1: not decided
  double decoded_mb = 1024;
  std::int64_t loader_threads = 1;
  std::int64_t loader_depth = 4;
  data::LatentForm latents;  // shift and scale of the set, if it holds latents

  /// The share that `validation` gives, or -1 if it names a file.
  double held_out_share() const;
};

struct TrainOptions {
  std::int64_t steps = 1000;
  std::int64_t batch = 256;
  std::int64_t slices = 0;
  std::int64_t micro_batch = 0;  // samples a pass; 0: the whole slice
  std::string precision = "fp32";
  bool tf32 = false;
  bool cuda_graph = false;
  std::string reduction = "tree";
  double bucket_mb = 8;
  std::string activation_checkpointing = "none";  // none | every:n | all
  double clip = 1.0;
  std::int64_t skips_before_rollback = 5;
  std::int64_t rollbacks = 2;

  std::int64_t passes_per_slice() const { return micro_batch == 0 ? 1 : batch / slices / micro_batch; }
  std::size_t bucket_elements() const { return static_cast<std::size_t>(bucket_mb * (1 << 20) / sizeof(float)); }
};

struct OptimizerOptions {
  std::string name = "adamw";
  double lr = 1e-4;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0.0;
  std::vector<std::string> groups;  // "PATTERN: KEY=VALUE, ..." (trainer/optimizer.h)
  std::int64_t warmup_steps = 0;
  std::string schedule = "constant";  // constant | cosine
  std::int64_t schedule_steps = 0;
};

struct EmaOptions {
  std::vector<double> decays = {0.9999};
  std::string warmup = "ratio";  // none | ratio
};

struct CheckpointOptions {
  bool background = true;
  double write_share = 0.3;
  std::int64_t every_steps = 1000;
  double every_minutes = 15;
  std::int64_t keep_last = 3;
  std::int64_t keep_every_steps = 0;
  double keep_every_hours = 0;
  std::int64_t keep_best = 0;
  std::string best_metric = "held_out_loss";  // held_out_loss | ema_held_out_loss | loss
  std::string best_mode = "min";              // min | max
  std::string read = "each";                  // each | broadcast
};

/// Previews while training.
struct SampleOptions {
  std::int64_t every_steps = 0;
  std::int64_t count = 64;
  std::string solver = "heun";
  std::int64_t steps = 25;
  double guidance = 1.0;
};

struct LogOptions {
  std::int64_t every_steps = 10;
  std::int64_t validate_every_steps = 0;
  std::int64_t norms_every_steps = 0;
  std::string prometheus;  // "HOST:PORT", "PORT" or empty
};

struct Recipe {
  RunOptions run;
  DataOptions data;
  model::ModelOptions model;
  flow::FlowOptions flow;
  TrainOptions train;
  OptimizerOptions optimizer;
  EmaOptions ema;
  CheckpointOptions checkpoint;
  SampleOptions sample;
  LogOptions log;
};

/// Binds every section, checks every value and resolves computed defaults; throws ExitCode::kUsage for unknown keys and
/// impossible values.
Recipe read_recipe(core::Config& config);

/// The default of train.slices: the largest power of two that is at most min(64, batch / 16), at least 1.
std::int64_t default_slices(std::int64_t batch);

/// "0.999" -> "ema-0.999": the name of an average in checkpoints and on the command line.
std::string ema_kind(double decay);

/// What a resume with `wanted` instead of `stored` means: throws ExitCode::kUsage for a fixed key; returns a line for
/// every changeable one.
std::vector<std::string> check_resume(const core::Config& stored, const core::Config& wanted);

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
// A network with the weights of a checkpoint, rebuilt from the recipe that the checkpoint carries.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/config.h"
#include "core/file_system.h"
#include "data/shard_source.h"
#include "flow/flow_options.h"
#include "model/velocity_model.h"
#include "sampler/field.h"

namespace pathline::sampler {

struct CheckpointedModel {
  std::unique_ptr<model::Module> model;  // in evaluation mode
  flow::FlowOptions flow;                // what it was trained to predict, on which path
  core::Config recipe;                   // the checkpoint's; [model], [flow], ema.decays and data.latent_* are bound
  std::string directory;                 // the step-N it came from
  std::string kind;                      // of its weights: "ema-0.999" or "master"
  std::uint64_t step = 0;
  std::vector<std::string> class_names;  // of the data it was trained on; may be empty
  data::LatentForm latents;              // shift and scale of these data; empty where they were no latents
  std::string prompts;                   // identity of what it is asked by (use_prompts()); empty: by labels
};

/// `path`: a run directory, its checkpoints/ or one step-N. `ema`: a decay ("0.999"), "none" for the raw weights, or ""
/// for the first of the recipe's ema.decays (raw if it has none). Every byte read is verified.
/// Throws ExitCode::kInput if there is no good checkpoint, kUsage for an average that it does not hold.
CheckpointedModel load_checkpointed_model(core::FileSystem& files, const std::string& path, const std::string& ema);

/// Samples are then asked for by the number of a prompt in this file (prompts.h). After the model is where it computes.
void use_prompts(CheckpointedModel& loaded, const std::string& path);

/// Rounds the weights to bf16; the network then computes in bf16, but for norms, softmax sums, time features and its
/// output, which stay fp32.
void use_bf16(model::Module& model);

/// Its weights and frozen tensors go there; no copy stays behind.
void move_to(const model::Module& model, at::Device device);

/// Fills tensors with a checkpoint's weights of one kind, by name. Throws ExitCode::kInput where one is missing or has
/// another shape.
void load_kind(const checkpoint::Reader& reader, const std::string& kind,
               const std::vector<model::NamedTensor>& tensors);

/// (C, H, W) for images, (D) for points.
std::vector<std::int64_t> sample_shape_of(const model::ModelOptions& options);

/// The label that stands for "no condition"; -1 where there is none.
std::int64_t null_label_of(const model::ModelOptions& options);

/// What the model's original gives for the original's times, variance channels included: for solvers of noise
/// predictors. Throws ExitCode::kUsage for a model that is no velocity model.
Field noise_field_of(model::Module& model);

/// The model's velocity as solvers call it; of a bijection one_step_field_of() (bijection.h). `model` must outlive it.
Field field_of(model::Module& model);

/// Whether field_of() is followed by one Euler step.
bool is_one_step(const model::Module& model);

}  // namespace pathline::sampler

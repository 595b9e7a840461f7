// SPDX-License-Identifier: Apache-2.0
// What all ranks of `pathline sample` do, as the options, the checkpoint and what an earlier start decided determine
// it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/sample/compute.h"
#include "apps/sample/options.h"
#include "sampler/checkpointed_model.h"
#include "sampler/classifier_guidance.h"
#include "sampler/job_record.h"
#include "sampler/masked_rows.h"
#include "sampler/sink.h"
#include "sampler/start_rows.h"
#include "sampler/torch_script.h"

namespace pathline::apps {

/// What a job fixes when it begins, the same on all ranks and in all its starts. 0: not decided yet.
struct Decided {
  std::int64_t slots = 0, threads = 0;
  DeviceKind device = DeviceKind::kAny;
};

/// As an earlier start decided, where this one is not asked for something else, else as the options say; slots stay 0
/// for "auto". Throws ExitCode::kUsage for numbers that cannot be.
Decided decide(const SampleOptions& options, const std::optional<sampler::JobRecord>& begun);

struct Plan {
  sampler::Job job;
  std::vector<std::int64_t> labels;      // ids cycle through them; empty: no labels
  std::vector<std::int64_t> item_shape;  // of what is written: (C, H, W) or (D)
  data::LatentForm latents;              // where latents are written: their form; else without a scale
  std::int64_t classes = 0;              // of the labels
  std::vector<std::string> class_names;
  sampler::JobRecord record;
  std::string description;
  std::string guide;                               // the checkpoint of autoguidance
  std::string classifier;                          // that of --classifier; empty where it is a file
  std::shared_ptr<const sampler::StartRows> rows;  // of --encode and --start
  double encoded_scale = 0;                        // --encode: from where the solver ends to noise; 0: other jobs

  std::shared_ptr<const sampler::MaskedRows> masked;  // of --mask

  /// What the field is given as the label of sample `id`; label_of() is what the set says.
  std::int64_t condition_of(std::int64_t id) const { return masked ? masked->row_of(id) : label_of(id); }
  std::int64_t label_of(std::int64_t id) const {
    return labels.empty() ? -1 : labels[static_cast<std::size_t>(id) % labels.size()];
  }
};

/// The job itself; what remains is filled in by complete(). Throws ExitCode::kUsage for options that do not fit the
/// model.
Plan plan_for(const SampleOptions& options, const sampler::CheckpointedModel& loaded, const Decided& decided);

/// The schedule whose indices its network is given and whose noise it answers with, as DiT and ADM do; else empty.
std::string own_schedule(const sampler::CheckpointedModel& loaded);

/// Autoguidance by another checkpoint's network, for a model trained as `guided` says. Throws ExitCode::kUsage where
/// its samples have another shape, its labels another meaning, or its velocity is of other states or times.
void guide_with(Plan& plan, const flow::FlowOptions& guided, const sampler::CheckpointedModel& weaker,
                sampler::Field field);

/// Guidance by a classifier's gradient; the labels of an unconditional model are then the classifier's. Throws
/// ExitCode::kUsage where the labels do not fit, kInput for a network that is no classifier of these samples.
void classify_with(Plan& plan, const SampleOptions& options, sampler::Classifier network);

/// Before that, where --classifier is a checkpoint: throws ExitCode::kUsage for one of another kind of network, of
/// other samples or along another path than the solver's.
void check_classifier(Plan& plan, const SampleOptions& options, const sampler::CheckpointedModel& classifier);

/// Record and description, once slots and threads are decided; `kernels` as in Compute. Reads the manifest and the
/// decoder's file.
void complete(Plan& plan, const SampleOptions& options, const sampler::CheckpointedModel& loaded,
              const Decided& decided, const std::string& kernels);

/// The decoder's pixels for one sample (C, h, w): (C', H, W). Throws ExitCode::kInput where it gives something else.
at::Tensor decoded(const sampler::TorchScript& decoder, const at::Tensor& value);

sampler::SinkOptions sink_options(const SampleOptions& options, const Plan& plan);

}  // namespace pathline::apps

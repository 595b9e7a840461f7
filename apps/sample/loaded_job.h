// SPDX-License-Identifier: Apache-2.0
// Everything that making a job's samples needs, in memory: `pathline sample` and the workers of a pool load it alike.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "apps/sample/compute.h"
#include "apps/sample/options.h"
#include "apps/sample/plan.h"
#include "core/file_system.h"
#include "sampler/checkpointed_model.h"
#include "sampler/features.h"
#include "sampler/field.h"
#include "sampler/record.h"
#include "sampler/torch_script.h"

namespace pathline::apps {

struct LoadedJob {
  SampleOptions options;
  Compute compute;
  std::shared_ptr<sampler::CheckpointedModel> loaded, weaker;  // weaker: that of --guide-with
  std::shared_ptr<sampler::CheckpointedModel> classifier;      // that of --classifier, where it is a checkpoint
  std::optional<sampler::TorchScript> decoder;
  std::optional<sampler::Features> features;  // where moments are asked for
  std::int64_t feature_count = 0;             // of a sample: so many fp32 numbers follow its item in parts
  Plan plan;
  sampler::Field field;

  /// A finished sample as parts hold it, but for what packed() does.
  sampler::Record record_of(sampler::Sample&& sample) const;
  /// What is written of a sample, with its features.
  sampler::Record written(const sampler::Sample& sample) const;
  /// The features of a record's pixels behind them, where moments are asked for.
  sampler::Record with_features(sampler::Record&& record) const;
  /// As the output takes it. Any thread.
  sampler::Record packed(sampler::Record&& record) const;
};

/// Where a checkpoint's model comes from: read, or one that is loaded already.
using ModelSource =
    std::function<std::shared_ptr<sampler::CheckpointedModel>(const std::string& path, const SampleOptions& options)>;

/// Reads it, in the options' averages and precision, onto the device. Local: no rank talks to another.
std::shared_ptr<sampler::CheckpointedModel> load_model(core::FileSystem& files, const std::string& path,
                                                       const SampleOptions& options, const Compute& compute);

/// All but what settle() fills in; slots may be undecided. Throws core::Error where the job cannot be done.
LoadedJob load_job(const SampleOptions& options, const Decided& decided, const Compute& compute,
                   const ModelSource& model_for);

/// The most slots that are tried.
inline constexpr std::int64_t kMostMeasuredSlots = 1024;

/// As many slots as the network's speed on this machine asks for, `field` being the job's; says the batch curve.
std::int64_t measured_slots(const sampler::Field& field, const LoadedJob& job);

/// Once slots and threads are decided: record, description and the shape of what is written. Throws
/// ExitCode::kUsage where a sample's bits depend on its place in the batch.
void settle(LoadedJob& job, const Decided& decided);

}  // namespace pathline::apps

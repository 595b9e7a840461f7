// SPDX-License-Identifier: Apache-2.0
// Everything that a worker needs to make samples of a job; models stay loaded, the least recently used goes.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "apps/sample/options.h"
#include "apps/sample/plan.h"
#include "core/file_system.h"
#include "sampler/checkpointed_model.h"
#include "sampler/field.h"
#include "sampler/pool/job_spec.h"
#include "sampler/record.h"
#include "sampler/torch_script.h"

namespace pathline::apps {

struct PreparedJob {
  std::int64_t id = 0;  // of the job
  SampleOptions options;
  std::shared_ptr<sampler::CheckpointedModel> loaded, weaker;  // weaker: that of --guide-with
  std::optional<sampler::TorchScript> decoder;
  Plan plan;
  sampler::Field field;

  /// A finished sample as parts hold it, but for what packed() does.
  sampler::Record record_of(sampler::Sample&& sample) const;
  /// As the output takes it. Any thread.
  sampler::Record packed(sampler::Record&& record) const;
  /// In the place of a sample that was parked: zero, and failed.
  sampler::Record missing(std::int64_t id) const;
};

class JobShelf {
 public:
  /// `models` are kept at most.
  JobShelf(core::FileSystem& files, std::size_t models) : files_(files), most_(models) {}

  /// Sets LibTorch's threads to the job's. Throws core::Error where the job cannot be done at all: no such option, no
  /// such checkpoint, rows that depend on their place. What is returned lives until the next call.
  const PreparedJob& prepare(std::int64_t id, const pool::JobSpec& spec);

 private:
  std::shared_ptr<sampler::CheckpointedModel> model_for(const std::string& path, const SampleOptions& options);

  core::FileSystem& files_;
  const std::size_t most_;
  std::list<PreparedJob> jobs_;  // the newest first
};

}  // namespace pathline::apps

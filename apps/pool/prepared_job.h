// SPDX-License-Identifier: Apache-2.0
// Everything that a worker needs to make samples of a job; models stay loaded, the least recently used goes.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "apps/sample/loaded_job.h"
#include "apps/sample/options.h"
#include "core/file_system.h"
#include "sampler/checkpointed_model.h"
#include "sampler/pool/job_spec.h"
#include "sampler/record.h"

namespace pathline::apps {

struct PreparedJob : LoadedJob {
  std::int64_t id = 0;  // of the job
  /// All networks of the job, by what tells them apart: the step's directory, weights, precision, text.
  std::map<std::string, std::shared_ptr<sampler::CheckpointedModel>> models;

  /// In the place of a sample that was parked: zero, and failed.
  sampler::Record missing(std::int64_t id) const;
};

/// Whether an error is none of the job's: its GPU failed, or storage, or the dispatcher. Then its leases go back, since
/// another worker, or this one later, can do them. Memory that a network does not fit into is the job's.
bool is_workers_fault(const std::exception& caught);

class JobShelf {
 public:
  /// At most so many `models` are kept, with the jobs that use them; those of the job used last always are.
  JobShelf(core::FileSystem& files, std::size_t models, Compute compute)
      : files_(files), most_(models), compute_(std::move(compute)) {}

  /// Sets LibTorch's threads to the job's. Throws core::Error where the job cannot be done at all: no such option, no
  /// such checkpoint, rows that depend on their place.
  std::shared_ptr<const PreparedJob> prepare(std::int64_t id, const pool::JobSpec& spec);

  /// How many slots serve a job of kMeasuredSlots best here. `stop` ends it: ExitCode::kStopped. Keeps the model.
  std::int64_t measure_slots(std::int64_t id, const pool::JobSpec& spec, const std::function<bool()>& stop);

 private:
  PreparedJob load(std::int64_t id, const pool::JobSpec& spec);
  std::shared_ptr<const PreparedJob> keep(PreparedJob&& job);
  std::shared_ptr<sampler::CheckpointedModel> model_for(const std::string& name, const std::string& step,
                                                        const SampleOptions& options);

  core::FileSystem& files_;
  const std::size_t most_;
  const Compute compute_;
  std::list<std::shared_ptr<const PreparedJob>> jobs_;  // the one used last first
};

}  // namespace pathline::apps

// SPDX-License-Identifier: Apache-2.0
#include "apps/pool/prepared_job.h"

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "core/error.h"
#include "core/log.h"
#include "sampler/to_record.h"

namespace pathline::apps {
namespace {

/// As `pathline sample` reads them.
SampleOptions options_of(const pool::JobSpec& spec) {
  CLI::App app;
  SampleOptions options;
  add_sample_options(app, options);
  std::vector<std::string> arguments = pool::sample_arguments(spec);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants a vector
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    throw core::Error(core::ExitCode::kUsage,
                      core::concat("`pathline sample` does not understand the job: ", error.what()));
  }
  check_sample_options(options);
  return options;
}

}  // namespace

sampler::Record PreparedJob::missing(std::int64_t id) const {
  sampler::Sample sample;
  sample.id = id;
  sample.label = plan.label_of(id);
  sample.value = at::zeros(plan.item_shape);
  sample.status = sampler::SampleStatus::kFailed;
  return packed(sampler::to_record(sample));
}

std::shared_ptr<sampler::CheckpointedModel> JobShelf::model_for(const std::string& path, const SampleOptions& options) {
  for (const PreparedJob& job : jobs_) {
    const bool same = job.options.ema == options.ema && job.options.precision == options.precision;
    if (same && job.options.checkpoint == path) return job.loaded;
    if (same && job.weaker && job.options.guide_with == path) return job.weaker;
  }
  return load_model(files_, path, options);
}

const PreparedJob& JobShelf::prepare(std::int64_t id, const pool::JobSpec& spec) {
  at::set_num_threads(static_cast<int>(spec.threads));
  const auto found = std::ranges::find(jobs_, id, &PreparedJob::id);
  if (found != jobs_.end()) {
    jobs_.splice(jobs_.begin(), jobs_, found);
    return jobs_.front();
  }
  const auto source = [this](const std::string& path, const SampleOptions& options) {
    return model_for(path, options);
  };
  const Decided decided{spec.slots, spec.threads};
  PreparedJob job{load_job(options_of(spec), decided, source), id};
  settle(job, decided);
  core::log_info("job ", id, ": ", job.loaded->directory, ", ", job.loaded->kind);
  jobs_.push_front(std::move(job));
  while (jobs_.size() > most_) jobs_.pop_back();
  return jobs_.front();
}

}  // namespace pathline::apps

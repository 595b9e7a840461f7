// SPDX-License-Identifier: Apache-2.0
#include "apps/pool/prepared_job.h"

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "core/error.h"
#include "core/log.h"
#include "sampler/row_check.h"
#include "sampler/sink.h"
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

sampler::Record PreparedJob::record_of(sampler::Sample&& sample) const {
  if (decoder) sample.value = decoded(*decoder, sample.value);
  return sampler::to_record(sample);
}

sampler::Record PreparedJob::packed(sampler::Record&& record) const {
  return sampler::takes_png(options.output) ? sampler::as_png(std::move(record), plan.item_shape) : std::move(record);
}

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
  auto loaded = sampler::load_checkpointed_model(files_, path, options.ema);
  if (options.precision == "bf16") sampler::use_bf16(*loaded.model);
  return std::make_shared<sampler::CheckpointedModel>(std::move(loaded));
}

const PreparedJob& JobShelf::prepare(std::int64_t id, const pool::JobSpec& spec) {
  at::set_num_threads(static_cast<int>(spec.threads));
  const auto found = std::ranges::find(jobs_, id, &PreparedJob::id);
  if (found != jobs_.end()) {
    jobs_.splice(jobs_.begin(), jobs_, found);
    return jobs_.front();
  }
  PreparedJob job;
  job.id = id;
  job.options = options_of(spec);
  job.loaded = model_for(job.options.checkpoint, job.options);
  const Decided decided{spec.slots, spec.threads};
  job.plan = plan_for(job.options, *job.loaded, decided);
  const bool noise = !job.plan.job.solver.noise_schedule.empty();
  const auto field_of = noise ? sampler::noise_field_of : sampler::field_of;
  job.field = field_of(*job.loaded->model);
  if (!job.options.guide_with.empty()) {
    job.weaker = model_for(job.options.guide_with, job.options);
    guide_with(job.plan, *job.weaker, field_of(*job.weaker->model));
  }
  complete(job.plan, job.options, *job.loaded, decided);
  sampler::check_rows_independent(job.field, job.plan.job);
  if (!job.options.decoder.empty()) {
    job.decoder.emplace(job.options.decoder);
    const at::Tensor start = sampler::start_noise(job.options.seed, job.options.first, job.plan.job.sample_shape);
    job.plan.item_shape = decoded(*job.decoder, start).sizes().vec();
  }
  core::log_info("job ", id, ": ", job.loaded->directory, ", ", job.loaded->kind);
  jobs_.push_front(std::move(job));
  while (jobs_.size() > most_) jobs_.pop_back();
  return jobs_.front();
}

}  // namespace pathline::apps

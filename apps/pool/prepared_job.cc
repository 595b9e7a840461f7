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

/// Slots that are to be measured are not decided.
Decided decided_of(const pool::JobSpec& spec) {
  return {spec.slots == pool::kMeasuredSlots ? 0 : spec.slots, spec.threads};
}

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
  if (plan.encoded_scale != 0) return record_of(std::move(sample));
  return packed(with_features(sampler::to_record(sample)));
}

std::shared_ptr<sampler::CheckpointedModel> JobShelf::model_for(const std::string& path, const SampleOptions& options) {
  for (const auto& job : jobs_) {
    if (job->classifier && job->options.classifier == path) return job->classifier;  // never sampled itself
    const bool same = job->options.ema == options.ema && job->options.precision == options.precision &&
                      job->options.text == options.text;
    if (same && job->options.checkpoint == path) return job->loaded;
    if (same && job->weaker && job->options.guide_with == path) return job->weaker;
  }
  return load_model(files_, path, options, compute_);
}

std::shared_ptr<const PreparedJob> JobShelf::keep(PreparedJob&& job) {
  std::erase_if(jobs_, [&](const auto& other) { return other->id == job.id; });
  jobs_.push_front(std::make_shared<const PreparedJob>(std::move(job)));
  while (jobs_.size() > most_) jobs_.pop_back();
  return jobs_.front();
}

PreparedJob JobShelf::load(std::int64_t id, const pool::JobSpec& spec) {
  at::set_num_threads(static_cast<int>(spec.threads));
  const auto source = [this](const std::string& path, const SampleOptions& options) {
    return model_for(path, options);
  };
  return {load_job(options_of(spec), decided_of(spec), compute_, source), id};
}

std::shared_ptr<const PreparedJob> JobShelf::prepare(std::int64_t id, const pool::JobSpec& spec) {
  const auto found = std::ranges::find_if(jobs_, [&](const auto& job) { return job->id == id; });
  if (found != jobs_.end() && (*found)->plan.job.slots == spec.slots) {  // else another worker's measure was taken
    at::set_num_threads(static_cast<int>(spec.threads));
    jobs_.splice(jobs_.begin(), jobs_, found);
    return jobs_.front();
  }
  PreparedJob job = load(id, spec);
  settle(job, decided_of(spec));
  core::log_info("job ", id, ": ", job.loaded->directory, ", ", job.loaded->kind);
  return keep(std::move(job));
}

std::int64_t JobShelf::measure_slots(std::int64_t id, const pool::JobSpec& spec, const std::function<bool()>& stop) {
  PreparedJob job = load(id, spec);
  const sampler::Field field = [&](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    PL_CHECK(!stop(), core::ExitCode::kStopped, "interrupted");
    return job.field(x, t, labels);
  };
  pool::JobSpec measured = spec;
  measured.slots = apps::measured_slots(field, job);
  settle(job, decided_of(measured));
  return keep(std::move(job))->plan.job.slots;
}

}  // namespace pathline::apps

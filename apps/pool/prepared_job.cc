// SPDX-License-Identifier: Apache-2.0
#include "apps/pool/prepared_job.h"

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ranges>
#include <set>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "sampler/pool/policy.h"

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
  return packed(written(sample));
}

std::shared_ptr<sampler::CheckpointedModel> JobShelf::model_for(const std::string& name, const std::string& step,
                                                                const SampleOptions& options) {
  for (const auto& job : jobs_) {
    if (const auto found = job->models.find(name); found != job->models.end()) return found->second;
  }
  return load_model(files_, step, options, compute_);
}

std::shared_ptr<const PreparedJob> JobShelf::keep(PreparedJob&& job) {
  std::erase_if(jobs_, [&](const auto& other) { return other->id == job.id; });
  jobs_.push_front(std::make_shared<const PreparedJob>(std::move(job)));
  std::vector<std::set<std::string>> models;
  for (const auto& one : jobs_) {
    const auto names = std::views::keys(one->models);
    models.emplace_back(names.begin(), names.end());
  }
  const std::vector<bool> stay = pool::jobs_that_stay(models, most_);
  std::size_t place = 0;
  std::erase_if(jobs_, [&](const auto&) { return !stay[place++]; });
  return jobs_.front();
}

PreparedJob JobShelf::load(std::int64_t id, const pool::JobSpec& spec) {
  at::set_num_threads(static_cast<int>(spec.threads));
  std::map<std::string, std::shared_ptr<sampler::CheckpointedModel>> models;
  const auto source = [&](const std::string& path, const SampleOptions& options) {
    const std::string step = checkpoint::resolve(files_, path);
    const std::string name = core::concat(step, '\n', options.ema, '\n', options.precision, '\n', options.text);
    return models[name] = model_for(name, step, options);
  };
  LoadedJob loaded = load_job(options_of(spec), decided_of(spec), compute_, source);
  return {std::move(loaded), id, std::move(models)};
}

bool is_workers_fault(const std::exception& caught) {
  if (core::is_gpu_fault(caught)) return true;
  const auto* known = dynamic_cast<const core::Error*>(&caught);
  return known != nullptr && known->code() == core::ExitCode::kEnvironment;
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

// SPDX-License-Identifier: Apache-2.0
#include "apps/sample/loaded_job.h"

#include "sampler/row_check.h"
#include "sampler/sink.h"
#include "sampler/to_record.h"

namespace pathline::apps {

sampler::Record LoadedJob::record_of(sampler::Sample&& sample) const {
  if (decoder) sample.value = decoded(*decoder, sample.value);
  return sampler::to_record(sample);
}

sampler::Record LoadedJob::packed(sampler::Record&& record) const {
  return sampler::takes_png(options.output) ? sampler::as_png(std::move(record), plan.item_shape) : std::move(record);
}

std::shared_ptr<sampler::CheckpointedModel> load_model(core::FileSystem& files, const std::string& path,
                                                       const SampleOptions& options) {
  auto loaded =
      std::make_shared<sampler::CheckpointedModel>(sampler::load_checkpointed_model(files, path, options.ema));
  if (options.precision == "bf16") sampler::use_bf16(*loaded->model);
  return loaded;
}

LoadedJob load_job(const SampleOptions& options, const Decided& decided, const ModelSource& model_for) {
  LoadedJob job;
  job.options = options;
  job.loaded = model_for(options.checkpoint, options);
  job.plan = plan_for(options, *job.loaded, decided);
  const bool noise = !job.plan.job.solver.noise_schedule.empty();
  const auto field_of = noise ? sampler::noise_field_of : sampler::field_of;
  job.field = field_of(*job.loaded->model);
  if (!options.guide_with.empty()) {
    job.weaker = model_for(options.guide_with, options);
    guide_with(job.plan, *job.weaker, field_of(*job.weaker->model));
  }
  if (!options.decoder.empty()) job.decoder.emplace(options.decoder);
  return job;
}

void settle(LoadedJob& job, const Decided& decided) {
  complete(job.plan, job.options, *job.loaded, decided);
  sampler::check_rows_independent(job.field, job.plan.job);
  if (!job.decoder) return;
  const at::Tensor start = sampler::start_noise(job.options.seed, job.options.first, job.plan.job.sample_shape);
  job.plan.item_shape = decoded(*job.decoder, start).sizes().vec();
}

}  // namespace pathline::apps

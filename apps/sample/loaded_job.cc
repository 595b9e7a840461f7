// SPDX-License-Identifier: Apache-2.0
#include "apps/sample/loaded_job.h"

#include <ATen/TensorOperators.h>

#include <algorithm>

#include "core/log.h"
#include "sampler/batch_curve.h"
#include "sampler/latents.h"
#include "sampler/path_field.h"
#include "sampler/row_check.h"
#include "sampler/sink.h"
#include "sampler/to_record.h"

namespace pathline::apps {

sampler::Record LoadedJob::record_of(sampler::Sample&& sample) const {
  sample.label = plan.label_of(sample.id);
  if (plan.encoded_scale != 0) {
    if (plan.encoded_scale != 1) sample.value = sample.value * plan.encoded_scale;
    return sampler::to_encoded_record(sample, plan.rows->item(sample.id));
  }
  sample.value = sampler::latent_of(sample.value, loaded->latents);
  if (decoder) sample.value = decoded(*decoder, sample.value);
  return written(sample);
}

sampler::Record LoadedJob::written(const sampler::Sample& sample) const {
  return with_features(plan.latents.scale.empty() ? sampler::to_record(sample) : sampler::to_latent_record(sample));
}

/// Alone in the network, so that no feature depends on another sample.
sampler::Record LoadedJob::with_features(sampler::Record&& record) const {
  if (features) sampler::append_features(record, features->of(sampler::item_of(record, plan.item_shape)));
  return std::move(record);
}

sampler::Record LoadedJob::packed(sampler::Record&& record) const {
  if (!sampler::takes_png(options.output)) return std::move(record);
  if (!features) return sampler::as_png(std::move(record), plan.item_shape);
  const at::Tensor taken = sampler::take_features(record, feature_count);
  sampler::Record png = sampler::as_png(std::move(record), plan.item_shape);
  sampler::append_features(png, taken);
  return png;
}

std::shared_ptr<sampler::CheckpointedModel> load_model(core::FileSystem& files, const std::string& path,
                                                       const SampleOptions& options, const Compute& compute) {
  auto loaded =
      std::make_shared<sampler::CheckpointedModel>(sampler::load_checkpointed_model(files, path, options.ema));
  if (options.precision == "bf16") sampler::use_bf16(*loaded->model);
  sampler::move_to(*loaded->model, compute.device);
  if (!options.text.empty()) sampler::use_prompts(*loaded, options.text);
  return loaded;
}

namespace {

/// What `solver` asks a model for: its velocity on the solver's path, or its noise at discrete times.
sampler::Field field_along(const sampler::SolverOptions& solver, const sampler::CheckpointedModel& loaded,
                           const Compute& compute) {
  if (!solver.noise_schedule.empty() && solver.noise_schedule == own_schedule(loaded)) {
    return compute.field_of(*loaded.model, sampler::NetworkAnswer::kAsOriginal);
  }
  const flow::Parameterisation trained = flow::parameterisation_of(loaded.flow);
  const sampler::Field answers = compute.field_of(*loaded.model, sampler::answer_for(trained));
  const sampler::Field velocity = sampler::velocity_of(answers, trained);
  if (!solver.noise_schedule.empty()) return sampler::noise_at_indices(velocity, trained, solver.noise_schedule);
  if (solver.path == trained.path().text()) return velocity;
  return sampler::along_path(velocity, trained, flow::Path::parse(solver.path));
}

/// A TorchScript file, or the checkpoint of a classifier of our own: its usual weights, in fp32.
sampler::Classifier classifier_for(LoadedJob& job, const ModelSource& model_for) {
  const SampleOptions& options = job.options;
  if (!core::PosixFileSystem().is_directory(options.classifier)) {
    const auto script = std::make_shared<const sampler::TorchScript>(options.classifier, job.compute.device);
    return [script](const at::Tensor& x, const at::Tensor& t) { return script->at_times(x, t); };
  }
  SampleOptions usual = options;
  usual.ema = "";
  usual.precision = "fp32";
  job.classifier = model_for(options.classifier, usual);
  check_classifier(job.plan, options, *job.classifier);
  return sampler::classifier_of(model::as_classifier(*job.classifier->model, "--classifier"));
}

}  // namespace

LoadedJob load_job(const SampleOptions& options, const Decided& decided, const Compute& compute,
                   const ModelSource& model_for) {
  LoadedJob job;
  job.options = options;
  job.compute = compute;
  job.loaded = model_for(options.checkpoint, options);
  job.plan = plan_for(options, *job.loaded, decided);
  const sampler::SolverOptions& solver = job.plan.job.solver;
  job.field = job.plan.masked
                  ? sampler::inpaint_field_of(model::as_velocity_model(*job.loaded->model, "--mask"), job.plan.masked)
                  : field_along(solver, *job.loaded, compute);
  if (!options.guide_with.empty()) {
    job.weaker = model_for(options.guide_with, options);
    guide_with(job.plan, job.loaded->flow, *job.weaker, field_along(solver, *job.weaker, compute));
  }
  if (!options.classifier.empty()) classify_with(job.plan, options, classifier_for(job, model_for));
  if (!options.decoder.empty()) job.decoder.emplace(options.decoder, compute.device);
  if (!options.moments.empty()) job.features.emplace(options.features, compute.device);
  return job;
}

std::int64_t measured_slots(const sampler::Field& field, const LoadedJob& job) {
  const auto curve = sampler::measure_batch_curve(field, job.plan.job, std::min(kMostMeasuredSlots, job.options.count));
  const std::int64_t slots = sampler::best_slots(curve);
  for (const sampler::BatchPoint& point : curve) {
    core::log_info(point.slots, " slots: ", point.rows_per_second, " evaluations a second",
                   point.slots == slots ? " (taken)" : "");
  }
  return slots;
}

namespace {

/// Of all networks that make a sample.
void check_rows(const LoadedJob& job) {
  sampler::Job shape = job.plan.job;
  sampler::check_rows_independent(job.field, shape);
  if (shape.guide) sampler::check_rows_independent(shape.guide, shape);
  shape.null_label = job.plan.classes - 1;  // a classifier knows no null label
  if (shape.classifier) sampler::check_rows_independent(shape.classifier, shape);
}

}  // namespace

void settle(LoadedJob& job, const Decided& decided) {
  complete(job.plan, job.options, *job.loaded, decided, job.compute.kernels);
  check_rows(job);
  sampler::Sample trial;
  trial.value = sampler::start_value(job.plan.job, job.options.first);
  if (job.decoder) {
    trial.value = decoded(*job.decoder, trial.value);
    job.plan.item_shape = trial.value.sizes().vec();
  }
  if (!job.features) return;
  job.feature_count = job.features->of(sampler::item_of(sampler::to_record(trial), job.plan.item_shape)).size(1);
}

}  // namespace pathline::apps

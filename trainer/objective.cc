// SPDX-License-Identifier: Apache-2.0
#include "trainer/objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "flow/interpolate.h"
#include "flow/keyed_draws.h"
#include "flow/transfer.h"
#include "trainer/classifier_objective.h"
#include "trainer/ddpm_objective.h"
#include "trainer/distill_objective.h"
#include "trainer/likelihood_objective.h"
#include "trainer/teacher.h"

namespace pathline::trainer {
namespace {

/// (6, n): the members of every sample's TrainingRow, in their order.
at::Tensor training_rows(const flow::Parameterisation& parameterisation, const at::Tensor& times) {
  const flow::TimeInterval range = parameterisation.training_times();
  return flow::row_table(times.size(0), [&](std::int64_t i) {
    const double u = times.const_data_ptr<float>()[i];
    const flow::TrainingRow row = parameterisation.training_row(range.first + (range.last - range.first) * u);
    return std::vector{row.input_x1, row.input_x0, row.time, row.target_x1, row.target_x0, row.weight};
  });
}

}  // namespace

at::Tensor stratified_times(std::uint64_t seed, const std::vector<std::uint64_t>& numbers) {
  at::Tensor times = flow::keyed_times(seed, core::Purpose::kValidationTime, numbers, flow::TimeLaw::parse("uniform"));
  float* t = times.mutable_data_ptr<float>();
  for (std::size_t n = 0; n < numbers.size(); ++n) {
    const float place = (static_cast<float>(numbers[n] % kTimeBins) + t[n]) / static_cast<float>(kTimeBins);
    t[n] = std::min(place, 0x1.fffffep-1f);  // the quotient may round to 1
  }
  return times;
}

at::Tensor start_of(const Slice& slice, std::uint64_t seed, core::Purpose purpose, at::Device device) {
  if (slice.x0.defined()) return flow::sent_to(slice.x0, device);
  const auto& noise = slice.noise.empty() ? slice.positions : slice.noise;
  return flow::keyed_noise(seed, purpose, noise, slice.x1.sizes().slice(1), device);
}

FlowObjective::FlowObjective(const flow::FlowOptions& options, std::uint64_t seed, model::VelocityModel& model)
    : model_(model),
      parameterisation_(flow::parameterisation_of(options)),
      time_(flow::TimeLaw::parse(options.time, parameterisation_.path())),
      masks_(flow::MaskLaw::parse(options.mask)),
      label_drop_(options.label_drop),
      seed_(seed) {
  PL_CHECK(!parameterisation_.gives_own_time() || !model.options().learn_sigma, core::ExitCode::kUsage,
           "flow.predict = \"", options.predict,
           "\" with model.learn_sigma = true (its second half would not be trained). Set learn_sigma = false.");
}

Question FlowObjective::question(const Slice& slice) const {
  const at::Tensor times = flow::keyed_times(seed_, core::Purpose::kTime, slice.positions, time_);
  Question question =
      ask(slice, times, {core::Purpose::kNoise, core::Purpose::kJitter, core::Purpose::kMask}, label_drop_);
  question.condition.seed = seed_;
  question.condition.positions = slice.positions;
  return question;
}

/// `times` (n) in [0, 1), on the processor.
Question FlowObjective::ask(const Slice& slice, const at::Tensor& times, const Purposes& purposes,
                            double label_drop) const {
  const at::Device device = device_of(model_);
  const at::Tensor x1 = flow::sent_to(slice.x1, device);
  at::Tensor x0 = start_of(slice, seed_, purposes.noise, device), masks;
  if (!masks_.none()) {
    masks = flow::keyed_masks(seed_, purposes.mask, slice.positions, masks_, x1.sizes().slice(1), device);
    x0 = flow::masked_start(x1, x0, masks);
  }
  const at::Tensor rows = flow::sent_to(training_rows(parameterisation_, times), device);
  Question question;
  question.x = flow::mixed(x1, rows[0], x0, rows[1]);
  if (parameterisation_.path().jitter() > 0) {
    const at::Tensor noise = flow::keyed_noise(seed_, purposes.jitter, slice.positions, x1.sizes().slice(1), device);
    question.x.add_(noise, parameterisation_.path().jitter());
  }
  question.t = rows[2];
  question.target = flow::mixed(x1, rows[3], x0, rows[4]);
  question.weight = rows[5];
  question.condition = condition_of(slice, model_, seed_, label_drop);
  if (masks.defined()) {
    question.condition.known = flow::known_part(x1, masks);
    question.weight = question.weight * flow::unknown_weight(masks);  // the error is 0 where pixels are known
  }
  return question;
}

at::Tensor FlowObjective::loss_of(const Question& question) const {
  const at::Tensor answer = parameterisation_.gives_own_time()
                                ? model_.forward_as_original(question.x, question.t, question.condition)
                                : model_.velocity(question.x, question.t, question.condition);
  return flow::squared_error_per_sample(answer, question.target) * question.weight;
}

at::Tensor FlowObjective::held_out_loss_per_sample(const Slice& slice) const {
  const Purposes purposes = {core::Purpose::kValidationNoise, core::Purpose::kValidationJitter,
                             core::Purpose::kValidationMask};
  return loss_of(ask(slice, stratified_times(seed_, slice.positions), purposes, 0.0));
}

std::unique_ptr<Objective> make_objective(const flow::FlowOptions& options, std::uint64_t seed, model::Module& model) {
  const std::string user = "flow.objective = \"" + options.objective + "\"";
  if (options.objective == "nll-flow") {
    return std::make_unique<NllFlowObjective>(options, seed, model::as_bijection(model, user));
  }
  if (options.objective == "classifier") {
    return std::make_unique<ClassifierObjective>(options, seed, model::as_classifier(model, user));
  }
  model::VelocityModel& velocity = model::as_velocity_model(model, user);
  const bool masked = !flow::MaskLaw::parse(options.mask).none();
  PL_CHECK(masked == velocity.options().inpaint, core::ExitCode::kUsage, "flow.mask = \"", options.mask,
           "\" with model.inpaint = ", masked ? "false" : "true",
           " (a network is shown what is known of a sample where there are masks, and only there). ",
           "Leave model.inpaint away: it follows flow.mask.");
  if (options.objective == "distill") {
    core::PosixFileSystem files;
    return std::make_unique<DistillObjective>(options, seed, velocity, load_teacher(files, options, velocity));
  }
  if (options.objective == "ddpm") return std::make_unique<DdpmObjective>(options, seed, velocity);
  if (options.objective == "nll-cnf") return std::make_unique<NllCnfObjective>(options, seed, velocity);
  return std::make_unique<FlowObjective>(options, seed, velocity);
}

at::Device device_of(const model::Module& model) { return model.parameters().front().tensor.device(); }

namespace {

/// The model's embeddings of prompts from rows of them (n, V).
void set_text(model::Condition& condition, const at::Tensor& rows, const model::ModelOptions& options) {
  const std::int64_t pooled = options.text_pooled, width = options.text_width, tokens = rows.size(1) - pooled;
  PL_ASSERT(tokens > 0 && tokens % width == 0);
  condition.text = rows.narrow(1, 0, tokens).reshape({rows.size(0), tokens / width, width});
  condition.pooled = rows.narrow(1, tokens, pooled);
}

}  // namespace

model::Condition condition_of(const Slice& slice, const model::Module& model, std::uint64_t seed, double label_drop) {
  const model::ModelOptions& options = model.options();
  const at::Device device = device_of(model);
  if (!model::takes_text(options)) {
    const at::Tensor labels =
        flow::dropped_labels(seed, slice.positions, slice.labels, label_drop, options.classes, device);
    return condition_for(model, labels);
  }
  PL_CHECK(slice.texts.defined(), core::ExitCode::kInput, options.name,
           " is trained on text, but the samples have none (/text_embeddings beside them). Make a described set with "
           "`pathline data encode --text`.");
  const std::vector<std::int64_t> kept(slice.positions.size(), 0);
  const at::Tensor dropped =
      flow::dropped_labels(seed, slice.positions, kept, label_drop, 1, device).eq(1).unsqueeze(1);  // (n, 1)
  const at::Tensor rows = flow::sent_to(slice.texts, device), null = flow::sent_to(slice.null_text, device);
  model::Condition condition;
  set_text(condition, at::where(dropped, null, rows), options);
  return condition;
}

model::Condition condition_for(const model::Module& model, const at::Tensor& labels) {
  model::Condition condition;
  if (model.options().classes > 0) condition.labels = labels;
  return condition;
}

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
#include "trainer/objective.h"

#include "flow/keyed_draws.h"
#include "flow/linear_path.h"
#include "flow/transfer.h"

namespace pathline::trainer {
namespace {

/// (n) times in bins i mod kTimeBins.
at::Tensor stratified_times(std::uint64_t seed, const std::vector<std::uint64_t>& numbers) {
  at::Tensor times = flow::keyed_times(seed, core::Purpose::kValidationTime, numbers, flow::TimeLaw());
  float* t = times.mutable_data_ptr<float>();
  for (std::size_t n = 0; n < numbers.size(); ++n) {
    t[n] = (static_cast<float>(numbers[n] % kTimeBins) + t[n]) / static_cast<float>(kTimeBins);
  }
  return times;
}

}  // namespace

FlowObjective::FlowObjective(const flow::FlowOptions& options, std::uint64_t seed, model::VelocityModel& model)
    : model_(model), time_(flow::TimeLaw::parse(options.time)), label_drop_(options.label_drop), seed_(seed) {}

Question FlowObjective::question(const Slice& slice) const {
  const at::Device device = device_of(model_);
  const at::Tensor x1 = flow::sent_to(slice.x1, device);
  const at::Tensor t = flow::keyed_times(seed_, core::Purpose::kTime, slice.positions, time_, device);
  const at::Tensor x0 = flow::keyed_noise(seed_, core::Purpose::kNoise, slice.positions, x1.sizes().slice(1), device);
  const flow::PathSample path = flow::linear_path(x0, x1, t);
  model::Condition condition = condition_for(
      model_,
      flow::dropped_labels(seed_, slice.positions, slice.labels, label_drop_, model_.options().classes, device));
  condition.seed = seed_;
  condition.positions = slice.positions;
  return {path.x, t, condition, path.velocity};
}

at::Tensor FlowObjective::loss_of(const Question& question) const {
  return flow::squared_error_per_sample(model_.velocity(question.x, question.t, question.condition), question.target);
}

at::Tensor FlowObjective::held_out_loss_per_sample(const Slice& slice) const {
  const at::Device device = device_of(model_);
  const at::Tensor x1 = flow::sent_to(slice.x1, device);
  const at::Tensor t = flow::sent_to(stratified_times(seed_, slice.positions), device);
  const at::Tensor x0 =
      flow::keyed_noise(seed_, core::Purpose::kValidationNoise, slice.positions, x1.sizes().slice(1), device);
  const auto path = flow::linear_path(x0, x1, t);
  const auto labels = flow::dropped_labels(seed_, slice.positions, slice.labels, 0.0, model_.options().classes, device);
  return loss_of({path.x, t, condition_for(model_, labels), path.velocity});
}

std::unique_ptr<Objective> make_objective(const flow::FlowOptions& options, std::uint64_t seed, model::Module& model) {
  return std::make_unique<FlowObjective>(options, seed, model::as_velocity_model(model, "flow.objective = \"flow\""));
}

at::Device device_of(const model::Module& model) { return model.parameters().front().tensor.device(); }

model::Condition condition_for(const model::Module& model, const at::Tensor& labels) {
  model::Condition condition;
  if (model.options().classes > 0) condition.labels = labels;
  return condition;
}

}  // namespace pathline::trainer

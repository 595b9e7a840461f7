// SPDX-License-Identifier: Apache-2.0
#include "trainer/objective.h"

#include "flow/keyed_draws.h"
#include "flow/linear_path.h"
#include "flow/transfer.h"

namespace pathline::trainer {

FlowObjective::FlowObjective(const flow::FlowOptions& options, std::uint64_t seed)
    : time_(flow::TimeLaw::parse(options.time)), label_drop_(options.label_drop), seed_(seed) {}

Question FlowObjective::question(const Slice& slice, const model::VelocityModel& model) const {
  const at::Device device = device_of(model);
  const at::Tensor x1 = flow::sent_to(slice.x1, device);
  const at::Tensor t = flow::keyed_times(seed_, core::Purpose::kTime, slice.positions, time_, device);
  const at::Tensor x0 = flow::keyed_noise(seed_, core::Purpose::kNoise, slice.positions, x1.sizes().slice(1), device);
  const flow::PathSample path = flow::linear_path(x0, x1, t);
  model::Condition condition = condition_for(
      model, flow::dropped_labels(seed_, slice.positions, slice.labels, label_drop_, model.options().classes, device));
  condition.seed = seed_;
  condition.positions = slice.positions;
  return {path.x, t, condition, path.velocity};
}

at::Tensor FlowObjective::loss_of(const Question& question, model::VelocityModel& model) const {
  return flow::squared_error_per_sample(model.velocity(question.x, question.t, question.condition), question.target);
}

std::unique_ptr<Objective> make_objective(const flow::FlowOptions& options, std::uint64_t seed) {
  return std::make_unique<FlowObjective>(options, seed);
}

at::Device device_of(const model::VelocityModel& model) { return model.parameters().front().tensor.device(); }

model::Condition condition_for(const model::VelocityModel& model, const at::Tensor& labels) {
  model::Condition condition;
  if (model.options().classes > 0) condition.labels = labels;
  return condition;
}

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
#include "trainer/distill_objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones_like.h>

#include <utility>
#include <vector>

#include "core/error.h"
#include "flow/interpolate.h"
#include "flow/keyed_draws.h"
#include "flow/transfer.h"

namespace pathline::trainer {

DistillObjective::DistillObjective(const flow::FlowOptions& options, std::uint64_t seed, model::VelocityModel& model,
                                   std::unique_ptr<model::Module> teacher)
    : model_(model),
      held_(std::move(teacher)),
      teacher_(held_ ? &model::as_velocity_model(*held_, "flow.teacher") : nullptr),
      path_(flow::Path::parse(options.path)),
      steps_(options.distill.steps),
      step_(1.0 / static_cast<double>(steps_)),
      label_drop_(options.label_drop),
      seed_(seed) {}

Question DistillObjective::question(const Slice& slice) const {
  const at::Tensor u = flow::keyed_times(seed_, core::Purpose::kTime, slice.positions, flow::TimeLaw::parse("uniform"));
  std::vector<std::int64_t> numbers;
  for (std::int64_t i = 0; i < u.size(0); ++i) {
    numbers.push_back(
        static_cast<std::int64_t>(static_cast<double>(u.const_data_ptr<float>()[i]) * static_cast<double>(steps_)));
  }
  Question question = ask(slice, numbers, core::Purpose::kNoise, label_drop_);
  question.condition.seed = seed_;
  question.condition.positions = slice.positions;
  return question;
}

at::Tensor DistillObjective::held_out_loss_per_sample(const Slice& slice) const {
  std::vector<std::int64_t> numbers;
  for (const std::uint64_t i : slice.positions) {
    numbers.push_back(static_cast<std::int64_t>(i % static_cast<std::uint64_t>(steps_)));
  }
  return loss_of(ask(slice, numbers, core::Purpose::kValidationNoise, 0.0));
}

Question DistillObjective::ask(const Slice& slice, const std::vector<std::int64_t>& numbers, core::Purpose noise,
                               double label_drop) const {
  const at::Device device = device_of(model_);
  const at::Tensor table = flow::row_table(std::ssize(numbers), [&](std::int64_t i) {
    const double t = step_ * static_cast<double>(numbers[static_cast<std::size_t>(i)]);
    const flow::PathPoint p = path_.at(t);
    return std::vector{p.a, p.s, t};
  });
  const at::Tensor rows = flow::sent_to(table, device);
  const at::Tensor x1 = flow::sent_to(slice.x1, device);
  const at::Tensor x0 = start_of(slice, seed_, noise, device);
  Question question;
  question.x = flow::mixed(x1, rows[0], x0, rows[1]);
  question.t = rows[2];
  question.weight = at::ones_like(question.t);
  question.condition = condition_of(slice, model_, seed_, label_drop);
  question.target = teacher_ == nullptr ? x1 - x0 : two_steps_of_teacher(question);
  return question;
}

/// What two Euler steps of half the length move by, over the whole length.
at::Tensor DistillObjective::two_steps_of_teacher(const Question& from) const {
  const at::NoGradGuard frozen;
  const at::Tensor first = teacher_->velocity(from.x, from.t, from.condition);
  const at::Tensor middle = from.x + step_ / 2 * first;
  return (first + teacher_->velocity(middle, from.t + step_ / 2, from.condition)) / 2;
}

at::Tensor DistillObjective::loss_of(const Question& question) const {
  const at::Tensor answer = model_.velocity(question.x, question.t, question.condition);
  return flow::squared_error_per_sample(answer, question.target) * question.weight;
}

}  // namespace pathline::trainer

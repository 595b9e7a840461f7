// SPDX-License-Identifier: Apache-2.0
#include "trainer/ddpm_objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/log.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/where.h>

#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "core/error.h"
#include "flow/interpolate.h"
#include "flow/keyed_draws.h"
#include "flow/transfer.h"
#include "model/noise_schedule.h"
#include "sampler/noise_schedule.h"

namespace pathline::trainer {
namespace {

constexpr std::int64_t kTimes = 1000;

/// By index: shares of data and noise; what an error of the noise moves the reverse step's mean by; the logarithms
/// between which its variance lies.
enum Row { kData, kNoise, kMeanByNoise, kLogPosterior, kLogBeta };

/// (5, 1000)
at::Tensor step_table(const std::string& schedule) {
  const std::vector<sampler::ReverseStep> steps = sampler::reverse_steps(schedule, std::to_string(kTimes));
  return flow::row_table(kTimes, [&](std::int64_t index) {
    const sampler::ReverseStep& step = steps[static_cast<std::size_t>(kTimes - 1 - index)];  // the noisiest first
    const double a = std::sqrt(step.alpha_bar), s = std::sqrt(1 - step.alpha_bar);
    const double mean_by_data = step.beta * std::sqrt(step.alpha_bar_before) / (1 - step.alpha_bar);
    return std::vector{a, s, mean_by_data * s / a, step.log_posterior_variance, std::log(step.beta)};
  });
}

/// Of the network's indices.
std::string schedule_for(const model::ModelOptions& model) {
  const std::string schedule = model::schedule_of(model.time_input);
  PL_CHECK(!schedule.empty(), core::ExitCode::kUsage, "flow.objective = \"ddpm\" with model.time_input = \"",
           model.time_input, "\" (the network is asked at the indices of the discrete schedule). Use time_input = ",
           "\"ddpm999\", or \"ddpm999-cosine\".");
  return schedule;
}

/// The normal distribution function, by the approximation that guided-diffusion uses.
at::Tensor normal_cdf(const at::Tensor& x) {
  return 0.5 * (1 + at::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x.pow(3))));
}

/// Nats of the 8-bit level that x1 is, 2 / 255 wide; the outermost ones reach to infinity. `off`: x1 less the mean.
at::Tensor level_nats(const at::Tensor& x1, const at::Tensor& off, const at::Tensor& log_variance) {
  const at::Tensor scale = at::exp(-0.5 * log_variance);
  const at::Tensor above = normal_cdf(scale * (off + 1.0 / 255)), below = normal_cdf(scale * (off - 1.0 / 255));
  const at::Tensor inner = at::where(x1 > 0.999, 1 - below, above - below);
  return -at::log(at::where(x1 < -0.999, above, inner).clamp_min(1e-12));
}

}  // namespace

DdpmObjective::DdpmObjective(const flow::FlowOptions& options, std::uint64_t seed, model::VelocityModel& model)
    : model_(model),
      steps_(flow::sent_to(step_table(schedule_for(model.options())), device_of(model))),
      label_drop_(options.label_drop),
      seed_(seed) {}

Question DdpmObjective::question(const Slice& slice) const {
  const at::Tensor times =
      flow::keyed_times(seed_, core::Purpose::kTime, slice.positions, flow::TimeLaw::parse("uniform"));
  Question question = ask(slice, times, core::Purpose::kNoise, label_drop_);
  question.condition.seed = seed_;
  question.condition.positions = slice.positions;
  return question;
}

at::Tensor DdpmObjective::held_out_loss_per_sample(const Slice& slice) const {
  return loss_of(ask(slice, stratified_times(seed_, slice.positions), core::Purpose::kValidationNoise, 0.0));
}

Question DdpmObjective::ask(const Slice& slice, const at::Tensor& times, core::Purpose noise, double label_drop) const {
  const at::Device device = device_of(model_);
  const at::Tensor index = flow::sent_to(kTimes - 1 - (times.to(at::kDouble) * kTimes).to(at::kLong), device);
  const at::Tensor x1 = flow::sent_to(slice.x1, device);
  Question question;
  question.target = start_of(slice, seed_, noise, device);
  question.x =
      flow::mixed(x1, steps_[kData].index_select(0, index), question.target, steps_[kNoise].index_select(0, index));
  question.t = index.to(at::kFloat);
  question.weight = at::ones_like(question.t);
  question.condition = condition_of(slice, model_, seed_, label_drop);
  return question;
}

at::Tensor DdpmObjective::loss_of(const Question& question) const {
  const std::int64_t channels = question.x.size(1);
  const at::Tensor answer = model_.forward_as_original(question.x, question.t, question.condition);
  const at::Tensor noise = answer.narrow(1, 0, channels);
  const at::Tensor error = flow::squared_error_per_sample(noise, question.target);
  if (!model_.options().learn_sigma) return error * question.weight;
  PL_CHECK(answer.size(1) == 2 * channels, core::ExitCode::kUsage, "model.name = \"", model_.options().name,
           "\" has no variance behind its noise (model.learn_sigma). Use a DiT or a UNet, or learn_sigma = false.");
  const at::Tensor off = noise.detach() - question.target;
  return (error + bound(question, answer.narrow(1, channels, channels), off).flatten(1).mean(1)) * question.weight;
}

at::Tensor DdpmObjective::bound(const Question& question, const at::Tensor& v, const at::Tensor& off) const {
  const at::Tensor index = question.t.to(at::kLong);
  const auto row = [&](Row which) { return flow::as_row_factors(steps_[which].index_select(0, index), question.x); };
  const at::Tensor share = (v + 1) / 2;
  const at::Tensor log_variance = share * row(kLogBeta) + (1 - share) * row(kLogPosterior);
  const at::Tensor mean_off = row(kMeanByNoise) * off;
  const at::Tensor log_ratio = row(kLogPosterior) - log_variance;
  const at::Tensor divergence =
      0.5 * (-1 - log_ratio + at::exp(log_ratio) + mean_off.square() * at::exp(-log_variance));
  const at::Tensor x1 = (question.x - row(kNoise) * question.target) / row(kData);
  const at::Tensor last = flow::as_row_factors(question.t, question.x) == 0;
  return at::where(last, level_nats(x1, mean_off, log_variance), divergence) / std::numbers::ln2;
}

}  // namespace pathline::trainer

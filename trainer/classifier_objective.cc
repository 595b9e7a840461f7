// SPDX-License-Identifier: Apache-2.0
#include "trainer/classifier_objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>

#include <algorithm>

#include "core/error.h"
#include "flow/interpolate.h"
#include "flow/keyed_draws.h"
#include "flow/transfer.h"

namespace pathline::trainer {

ClassifierObjective::ClassifierObjective(const flow::FlowOptions& options, std::uint64_t seed, model::Classifier& model)
    : model_(model),
      path_(flow::Path::parse(options.path)),
      time_(flow::TimeLaw::parse(options.time, path_)),
      seed_(seed) {}

ClassifierObjective::Noisy ClassifierObjective::noisy(const Slice& slice, const at::Tensor& times, core::Purpose noise,
                                                      core::Purpose jitter) const {
  const std::int64_t classes = model_.options().classes;
  PL_CHECK(std::ranges::all_of(slice.labels, [&](std::int64_t label) { return label >= 0 && label < classes; }),
           core::ExitCode::kInput, "a sample has no label from 0 to ", classes - 1,
           " (a classifier learns labels). Use a set whose samples all have one.");
  const at::Device device = device_of(model_);
  const auto share = [&](double flow::PathPoint::*member) {
    const at::Tensor shares = flow::of_times(times, [&](double t) { return path_.at(t).*member; });
    return flow::sent_to(shares.to(at::kFloat), device);
  };
  const at::Tensor x1 = flow::sent_to(slice.x1, device);
  Noisy noisy;
  noisy.x =
      flow::mixed(x1, share(&flow::PathPoint::a), start_of(slice, seed_, noise, device), share(&flow::PathPoint::s));
  if (path_.jitter() > 0) {
    noisy.x.add_(flow::keyed_noise(seed_, jitter, slice.positions, x1.sizes().slice(1), device), path_.jitter());
  }
  noisy.t = flow::sent_to(times, device);
  noisy.labels = flow::dropped_labels(seed_, slice.positions, slice.labels, 0.0, classes, device);
  return noisy;
}

at::Tensor ClassifierObjective::loss_of(const Noisy& noisy) const {
  const at::Tensor log_p = model_.logits(noisy.x, noisy.t).log_softmax(1);
  return -log_p.gather(1, noisy.labels.unsqueeze(1)).squeeze(1);
}

at::Tensor ClassifierObjective::loss_per_sample(const Slice& slice) const {
  const at::Tensor times = flow::keyed_times(seed_, core::Purpose::kTime, slice.positions, time_);
  return loss_of(noisy(slice, times, core::Purpose::kNoise, core::Purpose::kJitter));
}

ClassifierObjective::Noisy ClassifierObjective::held_out(const Slice& slice) const {
  return noisy(slice, stratified_times(seed_, slice.positions), core::Purpose::kValidationNoise,
               core::Purpose::kValidationJitter);
}

at::Tensor ClassifierObjective::held_out_loss_per_sample(const Slice& slice) const { return loss_of(held_out(slice)); }

at::Tensor ClassifierObjective::held_out_hits_per_sample(const Slice& slice) const {
  const Noisy asked = held_out(slice);
  return model_.logits(asked.x, asked.t).argmax(1).eq(asked.labels).to(at::kFloat);
}

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
#include "sampler/classifier_guidance.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/log_softmax.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <ranges>
#include <utility>
#include <vector>

#include "core/error.h"
#include "flow/interpolate.h"
#include "sampler/noise_schedule.h"

namespace pathline::sampler {
namespace {

/// factors (S), each of its row of x (S, ...).
at::Tensor times_rows(const at::Tensor& factors, const at::Tensor& x) { return flow::as_row_factors(factors, x) * x; }

}  // namespace

Classifier classifier_of(model::Classifier& model) {
  for (at::Tensor parameter : model.parameters() | std::views::transform(&model::NamedTensor::tensor)) {
    parameter.set_requires_grad(false);
  }
  return [&model](const at::Tensor& x, const at::Tensor& t) {
    const at::Device device = model.parameters().front().tensor.device();
    return model.logits(x.to(device, at::kFloat), t.to(device, at::kFloat)).to(x.device());
  };
}

Field log_probability_gradient(Classifier classifier) {
  return [classifier = std::move(classifier)](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    const at::AutoGradMode with_gradients(true);
    const at::Tensor input = x.detach().requires_grad_(true);
    const at::Tensor logits = classifier(input, t);
    PL_CHECK(logits.dim() == 2 && logits.size(0) == x.size(0) && logits.requires_grad(), core::ExitCode::kInput,
             "the classifier gives a tensor of shape ", logits.sizes(), " for ", x.size(0),
             " samples, or one that does not depend on them (it must be logits (S, classes), differentiable in the "
             "samples). Look at what it returns.");
    // A row's logits depend on that row alone: the gradient of the sum holds every row's own.
    const at::Tensor chosen = logits.log_softmax(1).gather(1, labels.unsqueeze(1)).sum();
    return torch::autograd::grad({chosen}, {input})[0];
  };
}

Field velocity_push(Field gradient, double scale, const flow::Path& path) {
  return [gradient = std::move(gradient), scale, path](const at::Tensor& x, const at::Tensor& t,
                                                       const at::Tensor& labels) {
    const at::Tensor times = t.clamp_min(kFirstClassifierTime);
    const at::Tensor factors = flow::of_times(times, [&](double at) { return scale * path.score_factor(at); });
    return times_rows(factors, gradient(x, times, labels));
  };
}

Field noise_push(Field gradient, double scale, const std::string& schedule) {
  return [gradient = std::move(gradient), scale, table = alpha_bars(schedule)](const at::Tensor& x, const at::Tensor& t,
                                                                               const at::Tensor& labels) {
    const at::Tensor factors = flow::of_times(
        t, [&](double index) { return -scale * std::sqrt(1 - table.at(static_cast<std::size_t>(index))); });
    return times_rows(factors, gradient(x, t, labels));
  };
}

}  // namespace pathline::sampler

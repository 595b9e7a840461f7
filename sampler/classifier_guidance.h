// SPDX-License-Identifier: Apache-2.0
// Guidance by a classifier of noisy samples (Dhariwal, Nichol 2021, arXiv 2105.05233): its gradient is the score's
// missing part, grad log p(x | y) = grad log p(x) + grad log p(y | x), and what solvers are given is linear in the
// score.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "flow/path.h"
#include "model/classifier.h"
#include "sampler/field.h"

namespace pathline::sampler {

/// Logits (S, classes) of x (S, ...) at times t (S), differentiable in x; a row's depend on that row alone. On the
/// CPU.
using Classifier = std::function<at::Tensor(const at::Tensor& x, const at::Tensor& t)>;

/// What a network of our own answers, wherever it lies; at times of flow. `model` must outlive it. Its parameters take
/// part in no gradient any more.
Classifier classifier_of(model::Classifier& model);

/// Below this time of flow the classifier is asked at this time.
constexpr double kFirstClassifierTime = 1e-3;

/// grad_x log p(label | x, t): as a Field whose labels (S) are classes.
Field log_probability_gradient(Classifier classifier);

/// What `scale` times the gradient adds to a velocity of a path: scale path.score_factor(t) gradient, on the linear
/// path scale (1 - t) / t gradient. Where a(0) = 0 the factor has a pole at t = 0, where the gradient of log p(y | x,
/// t) vanishes like a: below kFirstClassifierTime both are taken there. `gradient` is any field that gives grad log p
/// of the path's own states, their jitter included, at times of flow.
Field velocity_push(Field gradient, double scale, const flow::Path& path);

/// What it adds to predicted noise: - scale sqrt(1 - alpha_bar) gradient, at the discrete times of the network, which
/// `gradient` is given, too (as guided-diffusion's classifiers want them). `schedule`: as alpha_bars() takes it.
Field noise_push(Field gradient, double scale, const std::string& schedule);

}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
// Closed-form velocity fields whose rows do not see each other.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/roll.h>
#include <ATen/ops/sin.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "sampler/field.h"

namespace pathline::tests {

/// t (S) as a factor of x (S, ...).
inline at::Tensor per_row(const at::Tensor& t, const at::Tensor& x) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  return t.view(shape);
}

/// The field of scripts/solver_parity.py: v_i = sin(3 x_i) + cos(5 t) x_{i+1}. x (S, D).
inline at::Tensor coupled_field(const at::Tensor& x, const at::Tensor& t, const at::Tensor&) {
  return at::sin(3 * x) + at::cos(5 * per_row(t, x)) * at::roll(x, -1, 1);
}

/// The linear path's marginal velocity from N(0, 1) to N(mean, deviation^2), elementwise. With q_t = (1-t)^2 + t^2 s^2:
/// v = mean + (t s^2 - (1 - t)) / q_t * (x - t mean); the flow maps x0 to mean + s x0 exactly.
struct GaussianField {
  double mean = 0.7, deviation = 0.3;

  at::Tensor operator()(const at::Tensor& x, const at::Tensor& t, const at::Tensor&) const {
    const at::Tensor time = per_row(t, x);
    const at::Tensor variance = (1 - time) * (1 - time) + time * time * (deviation * deviation);
    return mean + (time * (deviation * deviation) - (1 - time)) / variance * (x - time * mean);
  }
};

/// A mixture of Gaussians of one deviation as data, in closed form. x (S, D).
struct MixtureField {
  at::Tensor means;    // (K, D) fp64
  at::Tensor weights;  // (K) fp64
  double deviation = 0.2;

  /// x = a x1 + s x0, for a, s (S), against every component: how far off its mean (S, K, D), and the variance (S, 1, 1).
  std::pair<at::Tensor, at::Tensor> off_at(const at::Tensor& x, const at::Tensor& a, const at::Tensor& s) const {
    const at::Tensor alpha = a.to(at::kDouble).view({-1, 1, 1}), sigma = s.to(at::kDouble).view({-1, 1, 1});
    return {x.to(at::kDouble).unsqueeze(1) - alpha * means, sigma * sigma + alpha * alpha * (deviation * deviation)};
  }

  /// (S, K): log p(component | x), but for a number a row.
  at::Tensor logits_at(const at::Tensor& x, const at::Tensor& a, const at::Tensor& s) const {
    const auto [off, variance] = off_at(x, a, s);
    return weights.log() - (off * off).sum(2) / (2 * variance.squeeze(2));
  }

  /// Posterior mean of the data given x.
  at::Tensor data_at(const at::Tensor& x, const at::Tensor& a, const at::Tensor& s) const {
    const auto [off, variance] = off_at(x, a, s);
    const at::Tensor share = logits_at(x, a, s).softmax(1).unsqueeze(2);
    const at::Tensor alpha = a.to(at::kDouble).view({-1, 1, 1});
    return (share * (means + alpha * (deviation * deviation) / variance * off)).sum(1);  // (S, D)
  }

  /// Component k alone.
  MixtureField component(std::int64_t k) const {
    return {means.narrow(0, k, 1), weights.narrow(0, k, 1), deviation};
  }

  /// Velocity on the linear path: (x1 - x) / (1 - t), and at t = 1, where no solver asks, the limit is not needed.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& t, const at::Tensor&) const {
    const at::Tensor data = data_at(x, t, 1 - t);
    return ((data - x) / (1 - per_row(t, x))).to(x.scalar_type());
  }
};

}  // namespace pathline::tests

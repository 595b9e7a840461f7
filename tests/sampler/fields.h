// SPDX-License-Identifier: Apache-2.0
// Closed-form velocity fields whose rows do not see each other, and the order that errors show.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/roll.h>
#include <ATen/ops/sin.h>

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "flow/interpolate.h"
#include "flow/path.h"
#include "sampler/field.h"

namespace pathline::tests {

/// t (S) as a factor of x (S, ...).
inline at::Tensor per_row(const at::Tensor& t, const at::Tensor& x) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  return t.view(shape);
}

/// x' = r x (1 - x) (1 + cos 3t): logistic in r (t + sin(3t) / 3).
struct Logistic {
  double rate = 0.5;

  at::Tensor operator()(const at::Tensor& x, const at::Tensor& t, const at::Tensor&) const {
    return rate * x * (1 - x) * (1 + at::cos(3 * per_row(t, x)));
  }

  double at_time(double t, double start) const {
    const double growth = std::exp(rate * (t + std::sin(3.0 * t) / 3));
    return start * growth / (1 - start + start * growth);
  }
  double end(double start) const { return at_time(1.0, start); }
};

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

/// A path at times t (S), each member (S) fp64. `noise`: the deviation of all noise, that beside the path included.
struct PathRows {
  at::Tensor a, s, da, ds, noise;

  PathRows(const flow::Path& path, const at::Tensor& t) {
    const auto rows = [&](double flow::PathPoint::*member) {
      return flow::of_times(t, [&](double at) { return path.at(at).*member; });
    };
    a = rows(&flow::PathPoint::a);
    s = rows(&flow::PathPoint::s);
    da = rows(&flow::PathPoint::da);
    ds = rows(&flow::PathPoint::ds);
    noise = (s.square() + path.jitter() * path.jitter()).sqrt();
  }
};

/// A mixture of Gaussians of one deviation as data, in closed form. x (S, D).
struct MixtureField {
  at::Tensor means;    // (K, D) fp64
  at::Tensor weights;  // (K) fp64
  double deviation = 0.2;

  /// x = a x1 + s x0, for a, s (S), against every component: how far off its mean (S, K, D), and the variance (S, 1,
  /// 1).
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
  MixtureField component(std::int64_t k) const { return {means.narrow(0, k, 1), weights.narrow(0, k, 1), deviation}; }

  /// log p(component | x, t) on a path, but for a number a row.
  at::Tensor logits_on(const flow::Path& path, const at::Tensor& x, const at::Tensor& t) const {
    const PathRows rows(path, t);
    return logits_at(x, rows.a, rows.noise);
  }

  /// The marginal velocity on a path: a' E[x1 | x] + s' E[x0 | x], where of all noise x - a E[x1 | x] the part
  /// s / (s^2 + jitter^2) is s E[x0 | x].
  at::Tensor velocity_on(const flow::Path& path, const at::Tensor& x, const at::Tensor& t) const {
    const PathRows rows(path, t);
    const auto factor = [&](const at::Tensor& of_row) { return of_row.unsqueeze(1); };
    const at::Tensor data = data_at(x, rows.a, rows.noise);
    const at::Tensor noise = factor(rows.s / rows.noise.square()) * (x.to(at::kDouble) - factor(rows.a) * data);
    return (factor(rows.da) * data + factor(rows.ds) * noise).to(x.scalar_type());
  }

  /// Velocity on the linear path: (x1 - x) / (1 - t), and at t = 1, where no solver asks, the limit is not needed.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& t, const at::Tensor&) const {
    const at::Tensor data = data_at(x, t, 1 - t);
    return ((data - x) / (1 - per_row(t, x))).to(x.scalar_type());
  }
};

/// Slope of log2 error against log2 step over halvings, by least squares.
inline double fitted_order(const std::vector<double>& errors) {
  const double n = static_cast<double>(errors.size());
  double mean_x = 0, mean_y = 0, xy = 0, xx = 0;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    mean_x -= static_cast<double>(i) / n;
    mean_y += std::log2(errors[i]) / n;
  }
  for (std::size_t i = 0; i < errors.size(); ++i) {
    const double x = -static_cast<double>(i) - mean_x;
    xy += x * (std::log2(errors[i]) - mean_y);
    xx += x * x;
  }
  return xy / xx;
}

}  // namespace pathline::tests

// SPDX-License-Identifier: Apache-2.0
// Closed-form velocity fields whose rows do not see each other.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/roll.h>
#include <ATen/ops/sin.h>

#include <cstdint>
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

}  // namespace pathline::tests

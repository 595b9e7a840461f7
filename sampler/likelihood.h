// SPDX-License-Identifier: Apache-2.0
// log p of given data under a flow: the ODE is solved backwards from the data to the noise together with the integral
// of the divergence (Chen et al., arXiv 1806.07366; Grathwohl et al., arXiv 1810.01367), in the slots that generation
// uses.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "sampler/field.h"
#include "sampler/slot_method.h"
#include "sampler/solver_options.h"

namespace pathline::sampler {

struct LikelihoodOptions {
  SolverOptions solver;     // its times are not used; the log-density takes part in the error control
  bool exact = false;       // the divergence itself, D derivatives an evaluation, instead of estimates
  std::int64_t probes = 4;  // Hutchinson's: so many solves, each with one random vector of signs that stays
  std::int64_t slots = 16;
  std::uint64_t seed = 0;  // of the probes
  // Where the path can be integrated, and the deviation of its noise (without data) at the first of the two times.
  double noise_time = 0, data_time = 1, noise_deviation = 1;
};

/// A datum: (C, H, W) or (D).
struct Datum {
  std::int64_t id = 0;
  std::int64_t label = 0;  // as the field wants it
  at::Tensor x;
};

struct LogDensity {
  std::int64_t id = 0;
  double log_p = 0;      // nats; the mean over probes
  double error = 0;      // standard error of that mean; 0 where exact, NaN for a single probe
  std::int64_t nfe = 0;  // evaluations of all its solves; the derivatives are not counted
  Outcome outcome = Outcome::kDone;
};

/// Every datum that `next` gives, in order of completion; its figures depend on no other datum. `field` must be
/// differentiable in x (called with gradients on; x and t fp32). `labelled`: as in SlotEngine. Local; callbacks run on
/// the calling thread. Throws ExitCode::kUsage for options that describe no ODE solver, and for no probes.
void log_densities(const Field& field, const LikelihoodOptions& options, const std::vector<std::int64_t>& shape,
                   bool labelled, const std::function<std::optional<Datum>()>& next,
                   const std::function<void(const LogDensity&)>& emit);

/// Velocity (S, D) and (dv/dx)^T sign(x) (S, D) side by side: whether their rows depend on each other is for
/// check_rows_independent() to find out.
Field with_derivative(const Field& field);

/// Bits per dimension of 8-bit data x = (k + u - 1/2) / 127.5 - 1: -log2 p / D + log2 127.5.
double bits_per_dimension(double log_p, std::int64_t dimensions);

/// Pixels k (any shape, uint8) as numbers x, with u in [0, 1) keyed by (seed, id), or u = 1/2 (`dequantize` false).
at::Tensor dequantized(const at::Tensor& pixels, std::uint64_t seed, std::int64_t id, bool dequantize);

}  // namespace pathline::sampler

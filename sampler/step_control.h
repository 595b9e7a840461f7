// SPDX-License-Identifier: Apache-2.0
// How long the next step is. Pure functions of numbers; times run from t0 to t1 in either direction, steps are signed.
// The rules are torchdiffeq's (Hairer, Norsett, Wanner, "Solving Ordinary Differential Equations I", II.4), for one
// sample at a time; the landing on t1, the controllers with memory and the noise floor are not.
#pragma once

#include <string>

namespace pathline::sampler {

/// dt' = dt * clamp(0.9 r_n^(-now/k) r_{n-1}^(before/k) r_{n-2}^(-earlier/k)), r the error ratios of the step that was
/// just accepted and of the two accepted before it, k the order. (Soederlind 2003; Hairer and Wanner II, IV.2.)
struct Controller {
  double now = 1, before = 0, earlier = 0;

  /// i: (1, 0, 0), torchdiffeq's; pi: (0.7, 0.2, 0), torchode's advice; pid: (0.58, 0.21, 0.1), SUNDIALS'.
  /// Throws ExitCode::kUsage.
  static Controller parse(const std::string& name);
  bool remembers() const { return before != 0 || earlier != 0; }
};

/// Error ratios of the last accepted steps; 1 where there is none.
struct ErrorHistory {
  double before = 1, earlier = 1;
};

/// After an accepted step of length `dt` whose error ratio (RMS of error / tolerance) was `ratio`. Integral control
/// grows up to tenfold and does not shrink below a ratio of 1; the others change by factors from 0.2 to 10.
double next_step(double dt, double ratio, int order, const Controller& controller = {},
                 const ErrorHistory& history = {});

/// After a rejected one: dt * max(0.2, 0.9 ratio^(-1/order)).
double shorter_step(double dt, double ratio, int order);

/// Length of the probing Euler step, from the scaled norms of state (d0) and first slope (d1). Positive.
double probe_step(double d0, double d1);

/// Length of the first step, from the scaled norm of the first slope (d1) and of the second derivative (d2), which the
/// probing step of length h0 gave. Positive.
double first_step(double h0, double d1, double d2, int order);

/// Where a step of about `dt` from `t` ends: exactly on `t1` if that is less than 1.02 dt away, so that no tiny step
/// remains, else t + dt. (MATLAB's ode45 stretches by 1.1: a last step that is 1.6 times as wrong, and no step mends it.)
double step_end(double t, double dt, double t1);

/// True where a step is too short to be worth taking: the tolerance lies below what the field's arithmetic resolves.
bool underflows(double dt, double t0, double t1);

/// Notices where the tolerance lies below the noise of the field's own arithmetic (a bf16 network resolves 4e-3 of its
/// slope): there the error of a step falls with the step's length, not with its order, and thousands of short steps
/// would buy nothing. For one sample; reset() at its start.
class NoiseFloor {
 public:
  void reset() { *this = {}; }

  /// Of a tried step with error ratio > 1: may it be accepted? `movement`: scaled norm of the slope that the step began
  /// with; noise is a small part of it (at most 2 %), a true jump of the field is not. Once found, later steps up to
  /// twice the floor pass at once.
  bool accepts(double dt, double ratio, double movement);

  /// The step under way was accepted: the next has not been rejected yet. Returns the longest that was tried.
  double step_taken(double dt);

 private:
  double longest_ = 0, its_ratio_ = 0;  // the first rejected try of the step under way; 0: none
  double error_slope_ = 0;              // error ratio / |dt| on the floor; 0: not found
};

}  // namespace pathline::sampler

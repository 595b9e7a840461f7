// SPDX-License-Identifier: Apache-2.0
// How long the next step is. Pure functions of numbers; times run from t0 to t1 in either direction, steps are signed.
// The rules are torchdiffeq's (Hairer, Norsett, Wanner, "Solving Ordinary Differential Equations I", II.4), for one
// sample at a time; only the landing on t1 is ours.
#pragma once

namespace pathline::sampler {

/// After a step of length `dt` whose error ratio (RMS of error / tolerance) was `ratio`; accepted if ratio <= 1.
/// Integral control: dt * min(10, max(0.9 ratio^(-1/order), f)), f = 1 below a ratio of 1, else 0.2; ratio 0: dt * 10.
double next_step(double dt, double ratio, int order);

/// Length of the probing Euler step, from the scaled norms of state (d0) and first slope (d1). Positive.
double probe_step(double d0, double d1);

/// Length of the first step, from the scaled norm of the first slope (d1) and of the second derivative (d2), which the
/// probing step of length h0 gave. Positive.
double first_step(double h0, double d1, double d2, int order);

/// Where a step of about `dt` from `t` ends: exactly on `t1` if that is less than 1.1 dt away, so that no tiny step
/// remains (the rule of MATLAB's ode45), else t + dt.
double step_end(double t, double dt, double t1);

/// True where a step is too short to be worth taking: the tolerance lies below what the field's arithmetic resolves.
bool underflows(double dt, double t0, double t1);

}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
// Explicit Runge-Kutta methods as tables of coefficients.
#pragma once

#include <string>
#include <vector>

namespace pathline::sampler {

/// k_i = v(y + dt sum_{j<i} a_ij k_j, t + c_i dt);  y' = y + dt sum_i b_i k_i;  error = dt sum_i e_i k_i.
struct Tableau {
  std::string name;
  int order = 1;                       // of y'; the step control takes error^(1/order), as torchdiffeq does
  std::vector<std::vector<double>> a;  // row i has i entries
  std::vector<double> b, c;
  std::vector<double> e;    // empty: no error estimate, fixed steps
  std::vector<double> d{};  // of dense output, see dense_weights(); empty: cubic Hermite

  int stages() const { return static_cast<int>(b.size()); }
  bool adaptive() const { return !e.empty(); }
  /// First same as last: the last stage is the slope at y', hence the first slope of the next step. Read off the
  /// coefficients; a method that merely looks like it loses accuracy when its last slope is handed on.
  bool fsal() const;
};

/// Every method, in order of their orders.
const std::vector<Tableau>& tableaux();

/// The method called `name` (no aliases). Throws ExitCode::kUsage for a solver that has no tableau.
const Tableau& find_tableau(const std::string& name);

/// Of an fsal() tableau: weights of y, y', k_1 ... k_s in the state at the share theta of a step of length dt, the
/// cubic Hermite polynomial and dt theta^2 (1 - theta)^2 sum_i d_i k_i: error O(dt^4), and O(dt^5) where the tableau
/// has a d.
std::vector<double> dense_weights(const Tableau& tableau, double theta, double dt);

/// Tsitouras, "Runge-Kutta pairs of order 5(4) satisfying only the first column simplifying assumption" (2011),
/// d from its section on dense output.
Tableau tsit5();

/// Prince and Dormand, "High order embedded Runge-Kutta formulae" (1981), RK8(7)13M, and the slope at its end as a 14th
/// stage that is handed on: torchdiffeq's dopri8.
Tableau dopri8();

}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
// Explicit Runge-Kutta methods as tables of coefficients, and the names by which users know them.
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
  std::vector<double> e;  // empty: no error estimate, fixed steps

  int stages() const { return static_cast<int>(b.size()); }
  bool adaptive() const { return !e.empty(); }
  /// First same as last: the last stage is the slope at y', hence the first slope of the next step. Read off the
  /// coefficients; a method that merely looks like it loses accuracy when its last slope is handed on.
  bool fsal() const;
};

/// The method called `name`; aliases of other libraries are accepted. Throws ExitCode::kUsage naming the nearest name.
const Tableau& find_tableau(const std::string& name);

/// What a user who comes from another library should be told about this name; empty if nothing.
std::string solver_note(const std::string& name);

/// Names of all methods, without aliases.
std::vector<std::string> solver_names();

}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
// The names of all solvers and what is special about each.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sampler/solver_options.h"

namespace pathline::sampler {

enum class SolverFamily { kRungeKutta, kMultistep, kStochastic, kDiscrete };

struct Solver {
  std::string name;
  SolverFamily family = SolverFamily::kRungeKutta;
  bool adaptive = false;    // chooses its steps by rtol and atol
  bool stochastic = false;  // draws noise
};

/// The solver called `name`; aliases of other libraries are accepted. Throws ExitCode::kUsage naming the nearest name.
Solver find_solver(const std::string& name);

/// What a user who comes from another library should be told about this name; empty if nothing.
std::string solver_note(const std::string& name);

/// Names of all solvers, without aliases.
std::vector<std::string> solver_names();

/// Every option that this solver's samples depend on, by its name on the command line, with its value; those at rest
/// (grid uniform, no interval of guidance) are left out.
std::vector<std::pair<std::string, std::string>> settings_of(const SolverOptions& options);

/// The same in one line: "solver heun, steps 50, guidance 1".
std::string described(const SolverOptions& options);

/// A number as the shortest text that reads back as the same number.
std::string exact_text(double value);

}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
// Sources: Hairer, Norsett, Wanner, "Solving Ordinary Differential Equations I", II.1 (classical methods) and II.5
// (Dormand-Prince); Shampine, "Some practical Runge-Kutta formulas" (1986) for the second error estimate.
#include "sampler/tableau.h"

#include <array>
#include <utility>

#include "core/error.h"
#include "core/text.h"

namespace pathline::sampler {
namespace {

Tableau euler() { return {"euler", 1, {{}}, {1.0}, {0.0}, {}}; }

Tableau midpoint() { return {"midpoint", 2, {{}, {0.5}}, {0.0, 1.0}, {0.0, 0.5}, {}}; }

Tableau heun() { return {"heun", 2, {{}, {1.0}}, {0.5, 0.5}, {0.0, 1.0}, {}}; }

Tableau rk4() {
  return {"rk4",
          4,
          {{}, {0.5}, {0.0, 0.5}, {0.0, 0.0, 1.0}},
          {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6},
          {0.0, 0.5, 0.5, 1.0},
          {}};
}

Tableau rk4_38() {
  return {"rk4_38",
          4,
          {{}, {1.0 / 3}, {-1.0 / 3, 1.0}, {1.0, -1.0, 1.0}},
          {1.0 / 8, 3.0 / 8, 3.0 / 8, 1.0 / 8},
          {0.0, 1.0 / 3, 2.0 / 3, 1.0},
          {}};
}

/// `error_scale` 1: the standard estimate b - b^ of DP5(4), e7 = -1/40 (SciPy, MATLAB). 2/3: Shampine's, e7 = -1/60
/// (torchdiffeq, torchode).
Tableau dormand_prince(const std::string& name, double error_scale) {
  std::vector<double> error = {71.0 / 57600,      0.0,        -71.0 / 16695, 71.0 / 1920,
                               -17253.0 / 339200, 22.0 / 525, -1.0 / 40};
  for (double& weight : error) weight *= error_scale;
  return {name,
          5,
          {{},
           {1.0 / 5},
           {3.0 / 40, 9.0 / 40},
           {44.0 / 45, -56.0 / 15, 32.0 / 9},
           {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
           {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
           {35.0 / 384, 0.0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84}},
          {35.0 / 384, 0.0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84, 0.0},
          {0.0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1.0, 1.0},
          std::move(error)};
}

const std::vector<Tableau>& tableaux() {
  static const std::vector<Tableau> all = {euler(), midpoint(), heun(), rk4(), rk4_38(),
                                           dormand_prince("dopri5", 1.0),
                                           dormand_prince("dopri5-shampine", 2.0 / 3)};
  return all;
}

struct Alias {
  const char* name;
  const char* solver;
  const char* note;
};

constexpr std::array<Alias, 4> kAliases = {{
    {"heun2", "heun", "heun2 of torchdiffeq is called heun here"},
    {"rk4-38", "rk4_38", "rk4-38 is written rk4_38"},
    {"rk45", "dopri5", "rk45 is Dormand-Prince 5(4), called dopri5 here"},
    {"dopri5-torchdiffeq", "dopri5-shampine", "dopri5 of torchdiffeq is called dopri5-shampine here"},
}};

}  // namespace

bool Tableau::fsal() const {
  if (stages() < 2 || c.back() != 1.0 || b.back() != 0.0) return false;
  for (std::size_t i = 0; i < a.back().size(); ++i) {
    if (a.back()[i] != b[i]) return false;
  }
  return true;
}

std::vector<std::string> solver_names() {
  std::vector<std::string> names;
  for (const Tableau& tableau : tableaux()) names.push_back(tableau.name);
  return names;
}

const Tableau& find_tableau(const std::string& name) {
  std::string wanted = name;
  for (const Alias& alias : kAliases) {
    if (name == alias.name) wanted = alias.solver;
  }
  for (const Tableau& tableau : tableaux()) {
    if (tableau.name == wanted) return tableau;
  }
  const std::vector<std::string> names = solver_names();
  throw core::Error(core::ExitCode::kUsage,
                    core::concat("there is no solver \"", name, "\". Did you mean \"",
                                 core::nearest_name(name, names), "\"? Known are ", core::listed(names), "."));
}

std::string solver_note(const std::string& name) {
  for (const Alias& alias : kAliases) {
    if (name == alias.name) return alias.note;
  }
  if (name == "rk4") return "rk4 is the classical rule; rk4 of torchdiffeq is the 3/8 rule, called rk4_38 here";
  return "";
}

}  // namespace pathline::sampler

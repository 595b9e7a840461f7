// SPDX-License-Identifier: Apache-2.0
// Sources: Hairer, Norsett, Wanner, "Solving Ordinary Differential Equations I", II.1 (classical methods) and II.5
// (Dormand-Prince) and II.6 (its dense output, by Shampine, in the form of the code DOPRI5); Bogacki and Shampine, "A
// 3(2) pair of Runge-Kutta formulas" (1989); Shampine, "Some practical Runge-Kutta formulas" (1986) for the second
// error estimate.
#include "sampler/tableau.h"

#include <utility>

#include "core/error.h"
#include "sampler/trajectory.h"

namespace pathline::sampler {
namespace {

Tableau euler() { return {"euler", 1, {{}}, {1.0}, {0.0}, {}}; }

Tableau midpoint() { return {"midpoint", 2, {{}, {0.5}}, {0.0, 1.0}, {0.0, 0.5}, {}}; }

Tableau heun() { return {"heun", 2, {{}, {1.0}}, {0.5, 0.5}, {0.0, 1.0}, {}}; }

/// The second-order method of two stages with the least bound on its error (Ralston 1962).
Tableau ralston() { return {"ralston", 2, {{}, {2.0 / 3}}, {0.25, 0.75}, {0.0, 2.0 / 3}, {}}; }

Tableau heun3() {
  return {"heun3", 3, {{}, {1.0 / 3}, {0.0, 2.0 / 3}}, {0.25, 0.0, 0.75}, {0.0, 1.0 / 3, 2.0 / 3}, {}};
}

Tableau bosh3() {
  return {"bosh3",
          3,
          {{}, {0.5}, {0.0, 0.75}, {2.0 / 9, 1.0 / 3, 4.0 / 9}},
          {2.0 / 9, 1.0 / 3, 4.0 / 9, 0.0},
          {0.0, 0.5, 0.75, 1.0},
          {-5.0 / 72, 1.0 / 12, 1.0 / 9, -1.0 / 8}};
}

Tableau rk4() {
  return {
      "rk4", 4, {{}, {0.5}, {0.0, 0.5}, {0.0, 0.0, 1.0}}, {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6}, {0.0, 0.5, 0.5, 1.0},
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
  std::vector<double> error = {71.0 / 57600, 0.0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40};
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
          std::move(error),
          {-12715105075.0 / 11282082432, 0.0, 87487479700.0 / 32700410799, -10690763975.0 / 1880347072,
           701980252875.0 / 199316789632, -1453857185.0 / 822651844, 69997945.0 / 29380423}};
}

}  // namespace

const std::vector<Tableau>& tableaux() {
  static const std::vector<Tableau> all = {euler(),
                                           midpoint(),
                                           heun(),
                                           ralston(),
                                           heun3(),
                                           bosh3(),
                                           rk4(),
                                           rk4_38(),
                                           dormand_prince("dopri5", 1.0),
                                           dormand_prince("dopri5-shampine", 2.0 / 3),
                                           tsit5(),
                                           dopri8()};
  return all;
}

bool Tableau::fsal() const {
  if (stages() < 2 || c.back() != 1.0 || b.back() != 0.0) return false;
  for (std::size_t i = 0; i < a.back().size(); ++i) {
    if (a.back()[i] != b[i]) return false;
  }
  return true;
}

std::vector<double> dense_weights(const Tableau& tableau, double theta, double dt) {
  const auto [y, y_new, first, last] = hermite_weights(theta, dt);
  std::vector<double> weights = {y, y_new};
  const double share = dt * theta * theta * (1 - theta) * (1 - theta);
  for (int i = 0; i < tableau.stages(); ++i) weights.push_back(tableau.d.empty() ? 0 : share * tableau.d[i]);
  weights[2] += first;
  weights.back() += last;
  return weights;
}

const Tableau& find_tableau(const std::string& name) {
  for (const Tableau& tableau : tableaux()) {
    if (tableau.name == name) return tableau;
  }
  PL_CHECK(false, core::ExitCode::kUsage, "solver \"", name, "\" is no Runge-Kutta method.");
}

}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
#include "sampler/slot_method.h"

#include <cmath>
#include <utility>

#include "core/error.h"
#include "flow/path.h"
#include "sampler/discrete.h"
#include "sampler/multistep.h"
#include "sampler/path_ends.h"
#include "sampler/runge_kutta.h"
#include "sampler/solver.h"
#include "sampler/stochastic.h"

namespace pathline::sampler {
namespace {

constexpr auto kUsage = core::ExitCode::kUsage;

void check_times(const SolverOptions& options) {
  PL_CHECK(std::isfinite(options.t0) && std::isfinite(options.t1) && options.t0 != options.t1, kUsage,
           "integration from t = ", options.t0, " to t = ", options.t1, " is no interval. Give two different times.");
  PL_CHECK(options.guidance_from <= options.guidance_to, kUsage, "guidance from t = ", options.guidance_from, " to ",
           options.guidance_to, " is no interval. Write the smaller time first, as in 0.2:0.8.");
}

void check_trajectories(const SolverOptions& options) {
  const double direction = options.t1 < options.t0 ? -1 : 1;
  const std::vector<double>& times = options.trajectories;
  for (std::size_t i = 0; i < times.size(); ++i) {
    PL_CHECK(direction * times[i] >= direction * options.t0 && direction * times[i] <= direction * options.t1, kUsage,
             "--trajectories asks for t = ", times[i], ", but samples go from t = ", options.t0, " to ", options.t1,
             ". Leave it out.");
    PL_CHECK(i == 0 || direction * times[i - 1] < direction * times[i], kUsage,
             "--trajectories asks for t = ", times[i], " after t = ", times[i - 1],
             ". Write the times in the order in which samples pass them, each once.");
  }
}

void check_tolerances(const SolverOptions& options) {
  PL_CHECK(options.rtol >= 0 && options.atol > 0 && std::isfinite(options.rtol + options.atol), kUsage,
           "rtol = ", options.rtol, " and atol = ", options.atol,
           " are no tolerances (steps are chosen by them). rtol must be at least 0 and atol positive.");
  PL_CHECK(options.max_steps > 0, kUsage, "max_steps is ", options.max_steps, "; it must be at least 1.");
}

template <class Method, class... Arguments>
auto maker_of(const Arguments&... arguments) {
  return [arguments...] { return std::make_unique<Method>(arguments...); };
}

template <class State>
MethodMaker<State> runge_kutta_maker(const SolverOptions& options, const Tableau& tableau, std::int64_t elements) {
  PL_CHECK(options.last_step.empty() || (options.last_step == "euler" && !tableau.adaptive()), kUsage, "--last-step ",
           options.last_step, " does not fit solver ", tableau.name,
           " (given steps of a Runge-Kutta method may end with one of Euler's: --last-step euler). Leave it out.");
  if (tableau.adaptive()) check_tolerances(options);
  const auto line = std::make_shared<const Timeline>(
      tableau.adaptive() ? landing_points(options)
                         : timeline_of(options, time_grid(options.grid, options.steps, options.t0, options.t1)));
  return [&tableau, line, options, elements] {
    return std::make_unique<RungeKutta<State>>(tableau, line, options, elements);
  };
}

template <class State>
MethodMaker<State> discrete_maker(const SolverOptions& options, bool ancestral, std::int64_t elements,
                                  const StepNoise& noise) {
  const auto plan = std::make_shared<const ReversePlan>(reverse_plan(options));
  return maker_of<DiscreteReverse<State>>(plan, elements, options, ancestral, noise);
}

template <class State>
MethodMaker<State> multistep_maker(const std::string& name, const SolverOptions& options, std::int64_t elements) {
  const auto line = std::make_shared<const Timeline>(
      timeline_of(options, time_grid(options.grid, options.steps, options.t0, options.t1)));
  if (name == "ab2") return maker_of<AdamsBashforth2<State>>(line, elements, options);
  PL_CHECK(0 <= options.t0 && options.t0 < options.t1 && options.t1 <= 1, kUsage, "solver ", name,
           " goes from noise to data, not from t = ", options.t0, " to ", options.t1,
           " (it predicts the data). Use ab2 or a Runge-Kutta method.");
  if (name == "ddim") return maker_of<FlowDdim<State>>(line, elements, options);
  return maker_of<DpmSolver2M<State>>(line, elements, options);
}

/// Without what the ends of the path ask for.
template <class State>
MethodMaker<State> inner_maker(const SolverOptions& options, std::int64_t elements, const StepNoise& noise) {
  check_times(options);
  check_trajectories(options);
  const Solver solver = find_solver(options.solver);
  const bool predicts_noise = !options.noise_schedule.empty();
  PL_CHECK((solver.name == "ddpm") <= predicts_noise, kUsage,
           "solver ddpm samples networks that predict noise at discrete times (--noise-schedule), and this one is a "
           "velocity. Use em or sheun for samples with noise.");
  PL_CHECK(!predicts_noise || solver.family == SolverFamily::kDiscrete, kUsage, "solver ", solver.name,
           " needs a velocity, and this network predicts noise at discrete times. Use ddim or ddpm.");
  const bool integrates = solver.family == SolverFamily::kRungeKutta || solver.name == "ab2";
  PL_CHECK(integrates || flow::Path::parse(options.path).jitter() == 0, kUsage, "solver ", solver.name,
           " needs to know what noise a velocity comes from, and path ", options.path,
           " has noise beside x0. Use a Runge-Kutta method or ab2.");
  if (predicts_noise) return discrete_maker<State>(options, solver.name == "ddpm", elements, noise);
  if (solver.family == SolverFamily::kRungeKutta) {
    return runge_kutta_maker<State>(options, find_tableau(solver.name), elements);
  }
  if (solver.family != SolverFamily::kStochastic) return multistep_maker<State>(solver.name, options, elements);
  const auto line = std::make_shared<const Timeline>(stochastic_timeline(options));
  if (solver.name == "em") return maker_of<EulerMaruyama<State>>(line, elements, options, noise);
  if (solver.name == "sheun") return maker_of<StochasticHeun<State>>(line, elements, options, noise);
  return maker_of<PredictorCorrector<State>>(line, elements, options, noise);
}

}  // namespace

template <class State>
MethodMaker<State> method_maker(const SolverOptions& options, std::int64_t elements, const StepNoise& noise) {
  MethodMaker<State> inner = inner_maker<State>(options, elements, noise);
  if (!options.noise_schedule.empty()) return inner;  // it begins on noise of deviation 1 and has its own times
  const PathEnds ends = path_ends(options);
  if (ends.start_scale == 1 && !ends.to_data) return inner;
  return [inner = std::move(inner), ends, elements] {
    return std::make_unique<BetweenEnds<State>>(inner(), ends, elements);
  };
}

template MethodMaker<float> method_maker<float>(const SolverOptions&, std::int64_t, const StepNoise&);
template MethodMaker<double> method_maker<double>(const SolverOptions&, std::int64_t, const StepNoise&);

}  // namespace pathline::sampler

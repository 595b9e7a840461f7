// SPDX-License-Identifier: Apache-2.0
#include "sampler/solver.h"

#include <array>
#include <charconv>

#include "core/error.h"
#include "core/text.h"
#include "sampler/tableau.h"

namespace pathline::sampler {
namespace {

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

std::vector<Solver> solvers() {
  std::vector<Solver> all;
  for (const Tableau& tableau : tableaux()) {
    all.push_back({tableau.name, SolverFamily::kRungeKutta, tableau.adaptive(), false});
  }
  for (const char* name : {"ab2", "dpmpp2m"}) all.push_back({name, SolverFamily::kMultistep, false, false});
  for (const char* name : {"em", "sheun", "pc"}) all.push_back({name, SolverFamily::kStochastic, false, true});
  all.push_back({"ddim", SolverFamily::kDiscrete, false, true});  // on a flow's path, or with eta 0, it draws nothing
  all.push_back({"ddpm", SolverFamily::kDiscrete, false, true});
  return all;
}

}  // namespace

std::vector<std::string> solver_names() {
  std::vector<std::string> names;
  for (const Solver& solver : solvers()) names.push_back(solver.name);
  return names;
}

Solver find_solver(const std::string& name) {
  std::string wanted = name;
  for (const Alias& alias : kAliases) {
    if (name == alias.name) wanted = alias.solver;
  }
  for (const Solver& solver : solvers()) {
    if (solver.name == wanted) return solver;
  }
  const std::vector<std::string> names = solver_names();
  throw core::Error(core::ExitCode::kUsage,
                    core::concat("there is no solver \"", name, "\". Did you mean \"", core::nearest_name(name, names),
                                 "\"? Known are ", core::listed(names), "."));
}

std::string solver_note(const std::string& name) {
  for (const Alias& alias : kAliases) {
    if (name == alias.name) return alias.note;
  }
  if (name == "rk4") return "rk4 is the classical rule; rk4 of torchdiffeq is the 3/8 rule, called rk4_38 here";
  return "";
}

std::string exact_text(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;

void add_steps(const Solver& solver, const SolverOptions& options, Settings& settings) {
  const auto add = [&](const char* name, const auto& value) { settings.emplace_back(name, value); };
  if (solver.adaptive) {
    add("rtol", exact_text(options.rtol));
    add("atol", exact_text(options.atol));
    if (options.controller != "i") add("controller", options.controller);
    return;
  }
  const bool respaced = !options.noise_schedule.empty() && !options.respacing.empty();
  respaced ? add("respacing", options.respacing) : add("steps", std::to_string(options.steps));
  if (options.grid != "uniform") add("grid", options.grid);
}

void add_noise(const Solver& solver, const SolverOptions& options, Settings& settings) {
  const auto add = [&](const char* name, const auto& value) { settings.emplace_back(name, value); };
  if (solver.family == SolverFamily::kStochastic) {
    add("diffusion", options.diffusion);
    if (options.last_step_size >= 0) add("last-step-size", exact_text(options.last_step_size));
    if (solver.name == "pc") add("snr", exact_text(options.snr));
  }
  if (!options.last_step.empty()) add("last-step", options.last_step);
  if (options.noise_schedule.empty()) return;
  add("noise-schedule", options.noise_schedule);
  if (solver.name == "ddpm") add("variance", options.variance);
  if (solver.name == "ddim") add("eta", exact_text(options.eta));
  if (!options.clip_denoised) add("clip-denoised", std::string("no"));
}

void add_trajectories(const SolverOptions& options, Settings& settings) {
  std::string times;
  for (const double time : options.trajectories) times += (times.empty() ? "" : ",") + exact_text(time);
  if (!times.empty()) settings.emplace_back("trajectories", times);
}

void add_guidance(const SolverOptions& options, Settings& settings) {
  std::string weights = exact_text(options.guidance);
  for (std::size_t i = 0; i < options.guidance_weights.size(); ++i) {
    weights = (i == 0 ? "" : weights + ",") + exact_text(options.guidance_weights[i]);
  }
  settings.emplace_back("guidance", weights);
  if (options.guidance_from > 0 || options.guidance_to < 1) {
    settings.emplace_back("guidance-interval",
                          exact_text(options.guidance_from) + ":" + exact_text(options.guidance_to));
  }
  if (options.guidance_channels > 0) {
    settings.emplace_back("guidance-channels", std::to_string(options.guidance_channels));
  }
  if (options.classifier_scale != 0) settings.emplace_back("classifier-scale", exact_text(options.classifier_scale));
}

}  // namespace

std::vector<std::pair<std::string, std::string>> settings_of(const SolverOptions& options) {
  const Solver solver = find_solver(options.solver);
  Settings settings = {{"solver", solver.name}};
  if (options.path != "linear") settings.emplace_back("path", options.path);
  if (options.t0 != 0 || options.t1 != 1) {
    settings.emplace_back("times", exact_text(options.t0) + " to " + exact_text(options.t1));
  }
  add_steps(solver, options, settings);
  add_noise(solver, options, settings);
  add_guidance(options, settings);
  add_trajectories(options, settings);
  return settings;
}

std::string described(const SolverOptions& options) {
  std::string text;
  for (const auto& [name, value] : settings_of(options)) text += (text.empty() ? "" : ", ") + name + " " + value;
  return text;
}

}  // namespace pathline::sampler

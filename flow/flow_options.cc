// SPDX-License-Identifier: Apache-2.0
#include "flow/flow_options.h"

#include "core/choice.h"
#include "core/error.h"
#include "flow/time_law.h"

namespace pathline::flow {
namespace {

/// Likelihood knows no path, no times and no pairs of noise and data.
void check_likelihood(const FlowOptions& options) {
  core::check_choice("flow.cnf_solver", options.cnf_solver, {"rk4", "midpoint"});
  core::check_choice("flow.cnf_divergence", options.cnf_divergence, {"auto", "exact", "hutchinson"});
  PL_CHECK(options.cnf_steps > 0, core::ExitCode::kUsage, "flow.cnf_steps is ", options.cnf_steps,
           " (the way from a datum to its noise takes at least one). The usual value is 8.");
  if (!options.objective.starts_with("nll-")) return;
  const FlowOptions unset;
  const auto refuse = [&](const char* key, const std::string& value, const std::string& usual) {
    PL_CHECK(value == usual, core::ExitCode::kUsage, "flow.", key, " = \"", value, "\" with flow.objective = \"",
             options.objective, "\" (a likelihood has no such choice: it is a function of the data alone). ",
             "Leave flow.", key, " away.");
  };
  refuse("path", options.path, unset.path);
  refuse("predict", options.predict, unset.predict);
  refuse("weight", options.weight, unset.weight);
  refuse("time", options.time, unset.time);
  refuse("coupling", options.pairing.coupling, unset.pairing.coupling);
  refuse("source", options.pairing.source, unset.pairing.source);
}

}  // namespace

Parameterisation parameterisation_of(const FlowOptions& options) {
  PL_CHECK(options.objective != "score" || options.predict != "velocity", core::ExitCode::kUsage,
           "flow.objective = \"score\" with flow.predict = \"velocity\" (denoising score matching learns the score, or "
           "what gives it). Set predict = \"score\", \"noise\", \"x1\" or \"edm\", or objective = \"flow\".");
  return {Path::parse(options.path), options.predict, options.weight};
}

void bind(core::Config& recipe, FlowOptions& options) {
  using core::OnResume;
  recipe.bind("flow", "objective", options.objective, OnResume::kFixed, "what is learned");
  recipe.bind("flow", "path", options.path, OnResume::kFixed, "x_t between noise (t = 0) and data (t = 1)");
  recipe.bind("flow", "predict", options.predict, OnResume::kFixed,
              "what the network's output means: velocity | x1 | noise | score | edm");
  recipe.bind("flow", "weight", options.weight, OnResume::kFixed,
              "of the squared error: auto | none | velocity | likelihood | sigma2 | edm");
  recipe.bind("flow", "time", options.time, OnResume::kFixed,
              "law of t: uniform | logit-normal:m,s | mode:k | cosmap | edm:m,s");
  bind(recipe, options.pairing);
  recipe.bind("flow", "label_drop", options.label_drop, OnResume::kFixed,
              "share of labels replaced by the null label, for guidance");
  recipe.bind("flow", "cnf_solver", options.cnf_solver, OnResume::kFixed, "nll-cnf: rk4 | midpoint");
  recipe.bind("flow", "cnf_steps", options.cnf_steps, OnResume::kFixed, "nll-cnf: steps from a datum to its noise");
  recipe.bind("flow", "cnf_divergence", options.cnf_divergence, OnResume::kFixed,
              "nll-cnf: exact | hutchinson | auto (exact in up to 4 dimensions)");
  core::check_choice("flow.objective", options.objective, {"flow", "score", "nll-flow", "nll-cnf"});
  check_likelihood(options);
  TimeLaw::parse(options.time, parameterisation_of(options).path());
  const bool normal = options.pairing.source == "gaussian" && options.pairing.coupling == "independent";
  PL_CHECK(normal || (options.predict != "score" && options.objective != "score"), core::ExitCode::kUsage,
           "a score cannot be learned with flow.source = \"", options.pairing.source, "\" and flow.coupling = \"",
           options.pairing.coupling,
           "\" (what is matched is the score of normal noise that meets samples independently). ",
           "Use objective = \"flow\" with predict = \"velocity\", \"x1\" or \"noise\".");
  PL_CHECK(options.label_drop >= 0.0 && options.label_drop <= 1.0, core::ExitCode::kUsage,
           "flow.label_drop = ", options.label_drop,
           " is not a share (each label is dropped with that probability). Use a number from 0 to 1.");
}

}  // namespace pathline::flow

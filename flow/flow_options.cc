// SPDX-License-Identifier: Apache-2.0
#include "flow/flow_options.h"

#include "core/choice.h"
#include "core/error.h"
#include "flow/time_law.h"

namespace pathline::flow {

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
  core::check_choice("flow.objective", options.objective, {"flow", "score"});
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

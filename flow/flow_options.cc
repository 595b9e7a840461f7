// SPDX-License-Identifier: Apache-2.0
#include "flow/flow_options.h"

#include "core/choice.h"
#include "core/error.h"
#include "flow/mask.h"
#include "flow/time_law.h"

namespace pathline::flow {
namespace {

/// Likelihood knows no path, no times and no pairs of noise and data.
void check_likelihood(const FlowOptions& options) {
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

/// Distillation learns velocities at a few times, from pairs or from a teacher.
void check_distillation(const FlowOptions& options) {
  if (options.objective != "distill") return;
  PL_CHECK(options.predict == "velocity" && (options.weight == "auto" || options.weight == "none") &&
               options.time == "uniform",
           core::ExitCode::kUsage, "flow.objective = \"distill\" with predict = \"", options.predict, "\", weight = \"",
           options.weight, "\" and time = \"", options.time,
           "\" (what is learned is the mean velocity over each of flow.distill_steps even steps, all of one weight). ",
           "Leave them away.");
  const bool pairs = options.pairing.coupling == "pairs";
  PL_CHECK(pairs != !options.distill.teacher.empty(), core::ExitCode::kUsage, "flow.objective = \"distill\" with ",
           pairs ? "both flow.teacher and coupling = \"pairs\"" : "neither flow.teacher nor coupling = \"pairs\"",
           " (what each step should reach comes from the one or the other). Name a teacher, or a set made by ",
           "`pathline sample --pairs` with coupling = \"pairs\".");
  PL_CHECK(!pairs || options.path == "linear", core::ExitCode::kUsage, "flow.path = \"", options.path,
           "\" with flow.objective = \"distill\" from pairs (the way from x0 to x1 is a straight line). ",
           "Use path = \"linear\".");
  const Parameterisation trained = parameterisation_of(options);
  const TimeInterval times = trained.sampling_times();
  PL_CHECK(
      trained.path().jitter() == 0 && times.first == 0 && times.last == 1, core::ExitCode::kUsage, "flow.path = \"",
      options.path,
      "\" with flow.objective = \"distill\" (steps lead from x0 itself to the end of the path, and there its states ",
      "are noisier or its velocity has no bound). Use path = \"linear\" or \"cosine\".");
}

/// What is known stays as it is only where x0 = x1 means x_t = x1, and only the velocity of that is known to be 0.
void check_mask(const FlowOptions& options) {
  if (MaskLaw::parse(options.mask).none()) return;
  const auto need = [&](bool holds, const char* key, const std::string& value, const char* why) {
    PL_CHECK(holds, core::ExitCode::kUsage, "flow.mask = \"", options.mask, "\" with flow.", key, " = \"", value,
             "\" (", why, "). Leave flow.", key, " away.");
  };
  need(options.objective == "flow", "objective", options.objective, "masks are learned by flow matching");
  need(options.predict == "velocity", "predict", options.predict, "the velocity is 0 where pixels are known");
  need(options.path == "linear" || options.path.starts_with("polynomial:"), "path", options.path,
       "known pixels stay as they are where both coefficients add up to 1: linear and polynomial:N");
  need(options.pairing.coupling == "independent", "coupling", options.pairing.coupling,
       "each x0 holds the known part of its own sample");
}

/// A classifier learns labels at states of the path; its gradient is a part of the score there.
void check_classifier(const FlowOptions& options) {
  if (options.objective != "classifier") return;
  PL_CHECK(options.predict == "velocity" && options.weight == "auto", core::ExitCode::kUsage, "flow.predict = \"",
           options.predict, "\" and flow.weight = \"", options.weight,
           "\" with flow.objective = \"classifier\" (it answers with labels alone). Leave them away.");
  PL_CHECK(options.label_drop == FlowOptions{}.label_drop || options.label_drop == 0, core::ExitCode::kUsage,
           "flow.label_drop = ", options.label_drop,
           " with flow.objective = \"classifier\" (labels are what it learns; none is dropped). Leave it away.");
  PL_CHECK(
      options.pairing.source == "gaussian" && options.pairing.coupling == "independent", core::ExitCode::kUsage,
      "flow.source = \"", options.pairing.source, "\" and flow.coupling = \"", options.pairing.coupling,
      "\" with flow.objective = \"classifier\" (it guides by adding to the score, which only normal noise that meets ",
      "samples independently has). Leave them away.");
}

/// The noise at the discrete times of a schedule: which times, and what their errors weigh, is not chosen.
void check_ddpm(const FlowOptions& options) {
  if (options.objective != "ddpm") return;
  PL_CHECK(options.predict == "ddpm", core::ExitCode::kUsage, "flow.objective = \"ddpm\" with flow.predict = \"",
           options.predict, "\" (what is learned is the noise at the indices of a discrete schedule). ",
           "Set predict = \"ddpm\".");
  PL_CHECK((options.weight == "auto" || options.weight == "none") && options.time == "uniform", core::ExitCode::kUsage,
           "flow.objective = \"ddpm\" with weight = \"", options.weight, "\" and time = \"", options.time,
           "\" (all 1,000 times are drawn alike and weigh the same). Leave them away.");
}

}  // namespace

Parameterisation parameterisation_of(const FlowOptions& options) {
  PL_CHECK(options.objective != "score" || options.predict != "velocity", core::ExitCode::kUsage,
           "flow.objective = \"score\" with flow.predict = \"velocity\" (denoising score matching learns the score, or "
           "what gives it). Set predict = \"score\", \"noise\", \"x1\" or \"edm\", or objective = \"flow\".");
  return {Path::parse(options.path), options.predict, options.weight};
}

namespace {

/// Keys that every objective along a path reads.
void bind_own(core::Config& recipe, FlowOptions& options) {
  using core::OnResume;
  recipe.bind("flow", "objective", options.objective, OnResume::kFixed, "what is learned");
  recipe.bind("flow", "path", options.path, OnResume::kFixed, "x_t between noise (t = 0) and data (t = 1)");
  recipe.bind("flow", "predict", options.predict, OnResume::kFixed,
              "what the network's output means: velocity | x1 | noise | score | edm | ddpm");
  recipe.bind("flow", "weight", options.weight, OnResume::kFixed,
              "of the squared error: auto | none | velocity | likelihood | sigma2 | edm");
  recipe.bind("flow", "time", options.time, OnResume::kFixed,
              "law of t: uniform | logit-normal:m,s | mode:k | cosmap | edm:m,s");
  recipe.bind("flow", "label_drop", options.label_drop, OnResume::kFixed,
              "share of labels replaced by the null label, for guidance");
  recipe.bind("flow", "mask", options.mask, OnResume::kFixed,
              "inpainting, what is known of a sample: none | half | box | pixels:P");
  core::check_choice("flow.objective", options.objective,
                     {"flow", "score", "ddpm", "nll-flow", "nll-cnf", "distill", "classifier"});
  PL_CHECK(options.label_drop >= 0.0 && options.label_drop <= 1.0, core::ExitCode::kUsage,
           "flow.label_drop = ", options.label_drop,
           " is not a share (each label is dropped with that probability). Use a number from 0 to 1.");
}

void check_score(const FlowOptions& options) {
  const bool normal = options.pairing.source == "gaussian" && options.pairing.coupling == "independent";
  PL_CHECK(normal || (options.predict != "score" && options.objective != "score" && options.objective != "ddpm"),
           core::ExitCode::kUsage, "a score cannot be learned with flow.source = \"", options.pairing.source,
           "\" and flow.coupling = \"", options.pairing.coupling,
           "\" (what is matched is the score of normal noise that meets samples independently). ",
           "Use objective = \"flow\" with predict = \"velocity\", \"x1\" or \"noise\".");
}

}  // namespace

void bind(core::Config& recipe, FlowOptions& options) {
  bind_own(recipe, options);
  options.path = Path::parse(options.path).text();  // the lines of a table, so that no later file changes the run
  recipe.resolve("flow", "path", options.path);
  bind(recipe, options.pairing);
  flow::bind(recipe, options.objective, options.cnf);  // not std::bind
  flow::bind(recipe, options.objective, options.distill);
  check_likelihood(options);
  check_distillation(options);
  check_mask(options);
  check_classifier(options);
  check_ddpm(options);
  check_score(options);
  TimeLaw::parse(options.time, parameterisation_of(options).path());
}

}  // namespace pathline::flow

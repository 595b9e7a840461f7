// SPDX-License-Identifier: Apache-2.0
#include "apps/sample/plan.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "apps/sample/plan_record.h"
#include "apps/sample/row_plan.h"
#include "cluster/session.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "model/noise_schedule.h"
#include "sampler/bijection.h"
#include "sampler/classifier_guidance.h"
#include "sampler/distilled.h"
#include "sampler/latents.h"
#include "sampler/path_field.h"
#include "sampler/slot_count.h"
#include "sampler/solver.h"

namespace pathline::apps {
namespace {

using core::ExitCode;

using sampler::kSlotMultiple;

std::int64_t slots_asked_for(const SampleOptions& options) {
  const std::int64_t slots = core::parse_integer(options.slots, "--slots");
  PL_CHECK(slots > 0 && slots % kSlotMultiple == 0, ExitCode::kUsage, "--slots is ", slots,
           "; it must be auto or a multiple of ", kSlotMultiple, " (kernels treat other batches unevenly). Try ",
           std::max(kSlotMultiple, slots / kSlotMultiple * kSlotMultiple), ".");
  return slots;
}

std::int64_t number_in(const std::optional<sampler::JobRecord>& record, const std::string& name) {
  const std::string text = record ? record->value(name) : "";
  return text.empty() ? 0 : core::parse_integer(text, "the job record's " + name);
}

DeviceKind device_asked_for(const SampleOptions& options, const std::optional<sampler::JobRecord>& begun) {
  const std::string kernels = begun ? begun->value("kernels") : "";
  const std::string kind = options.device == "auto" && !kernels.empty() ? device_kind_of(kernels) : options.device;
  return kind == "cpu" ? DeviceKind::kCpu : kind == "cuda" ? DeviceKind::kCuda : DeviceKind::kAny;
}

std::vector<std::int64_t> labels_for(const SampleOptions& options, std::int64_t classes) {
  if (options.labels == "none" || (options.labels.empty() && classes <= 0)) return {};
  return sampler::parse_labels(options.labels.empty() ? "all" : options.labels, classes);
}

/// What a model trained by likelihood cannot do: its states between noise and data are of no path that is known.
void check_without_path(const SampleOptions& options) {
  const sampler::Solver solver = sampler::find_solver(options.solver.solver);
  PL_CHECK(solver.family == sampler::SolverFamily::kRungeKutta || solver.name == "ab2", ExitCode::kUsage, "--solver ",
           solver.name, " was given, but this model was trained by likelihood: of its states between noise and data ",
           "only the velocity is known, no path and no score. Use dopri5 or another method for velocities.");
  PL_CHECK(options.path.empty() && options.classifier.empty(), ExitCode::kUsage,
           "--path and --classifier need the path of a model, and this one was trained by likelihood, along none that ",
           "is known. Leave them out.");
}

void narrow_times(Plan& plan, const SampleOptions& options, const sampler::CheckpointedModel& loaded) {
  if (!options.t0 && !options.t1) return;
  const bool in_given_steps = sampler::is_one_step(*loaded.model) || sampler::is_distilled(loaded.flow);
  PL_CHECK(!in_given_steps && loaded.flow.objective != "nll-cnf", ExitCode::kUsage,
           "--t0 and --t1 are times of a path, and this model's states between noise and data are of none that is ",
           "known. Leave them out.");
  PL_CHECK(options.encode.empty() && options.mask.empty(), ExitCode::kUsage,
           "--t0 and --t1 do not go together with --encode and --mask, which take data all the way. Leave them out.");
  sampler::narrow_times(plan.job.solver, options.t0, options.t1, loaded.flow.pairing.source == "gaussian");
}

/// What nobody reads is refused: it would be ignored in silence.
void check_read(const sampler::SolverOptions& given, const sampler::SolverOptions& runs) {
  const sampler::Solver solver = sampler::find_solver(runs.solver);
  const sampler::SolverOptions usual;
  const auto read_by = [&](bool reads, bool is_given, const char* option, const char* who) {
    PL_CHECK(reads || !is_given, ExitCode::kUsage, option, " was given, and solver ", solver.name,
             " does not read it (", who, "). Leave it out, or choose another --solver.");
  };
  const bool stochastic = solver.family == sampler::SolverFamily::kStochastic;
  const bool discrete = !runs.noise_schedule.empty();
  const char* discrete_ones = "ddpm does, and ddim with --noise-schedule";
  read_by(discrete, !given.respacing.empty(), "--respacing", discrete_ones);
  read_by(discrete, !given.clip_denoised, "--no-clip-denoised", discrete_ones);
  read_by(discrete && solver.name == "ddim", given.eta != usual.eta, "--eta", "ddim does with --noise-schedule");
  read_by(solver.name == "ddpm", given.variance != usual.variance, "--variance", "ddpm does");
  read_by(stochastic, given.diffusion != usual.diffusion, "--diffusion", "em, sheun and pc do");
  read_by(stochastic, given.last_step_size != usual.last_step_size, "--last-step-size", "em, sheun and pc do");
  read_by(solver.name == "pc", given.snr != usual.snr, "--snr", "pc does");
  read_by(stochastic || solver.family == sampler::SolverFamily::kRungeKutta, !given.last_step.empty(), "--last-step",
          "em, sheun, pc and Runge-Kutta methods do");
}

}  // namespace

Decided decide(const SampleOptions& options, const std::optional<sampler::JobRecord>& begun) {
  Decided decided{number_in(begun, "slots"), number_in(begun, "threads")};
  const bool measured = options.slots == "auto";
  if (!options.slots.empty() && !measured) decided.slots = slots_asked_for(options);
  if (decided.slots == 0 && !measured) decided.slots = sampler::usual_slots(options.count);
  if (options.threads > 0) decided.threads = options.threads;
  if (decided.threads == 0) decided.threads = cluster::usual_threads();
  decided.device = device_asked_for(options, begun);
  return decided;
}

Plan plan_for(const SampleOptions& options, const sampler::CheckpointedModel& loaded, const Decided& decided) {
  const model::ModelOptions& model = loaded.model->options();
  PL_CHECK(!model::takes_text(model) || !options.text.empty(), ExitCode::kUsage, "model ", model.name,
           " is conditioned on text (every sample follows a prompt). Give encoded prompts with --text FILE.h5, as "
           "`pathline data encode --text` makes them.");
  PL_CHECK(!options.solver.weighs() || sampler::null_label_of(model) >= 0 || !options.guide_with.empty(),
           ExitCode::kUsage,
           "--guidance was given, but this model has no null label to be guided away from. Leave it "
           "out, or name a weaker model with --guide-with.");
  if (options.solver.weighs() && options.guide_with.empty() && loaded.flow.label_drop == 0) {
    core::log_warning("--guidance leads away from what the model makes without a label, and it was trained with ",
                      "flow.label_drop = 0: never without one. Samples will be odd; train a model from this one ",
                      "(model.init) with flow.label_drop = 0.1");
  }
  Plan plan;
  if (options.classifier.empty()) plan.labels = labels_for(options, model.classes);
  plan.job.sample_shape = sampler::sample_shape_of(model);
  plan.job.null_label = sampler::null_label_of(model);
  plan.job.slots = decided.slots;
  plan.job.seed = options.seed;
  plan.job.solver = options.solver;
  if (sampler::is_one_step(*loaded.model)) {
    PL_CHECK(options.classifier.empty(), ExitCode::kUsage, "--classifier ", options.classifier,
             " was given, but this model maps noise to data in one go (no velocity is there to be guided). ",
             "Leave it out.");
    plan.job.solver = sampler::in_one_step(options.solver);
  }
  if (loaded.flow.objective == "nll-cnf") check_without_path(options);
  if (sampler::is_distilled(loaded.flow)) {
    if (!options.path.empty()) sampler::check_all_times(loaded.flow, "--path");
    if (!options.classifier.empty()) sampler::check_all_times(loaded.flow, "--classifier");
    if (!options.guide_with.empty()) sampler::check_all_times(loaded.flow, "--guide-with");
    plan.job.solver = sampler::in_distilled_steps(options.solver, loaded.flow.distill.steps);
  }
  const std::string solver = sampler::find_solver(plan.job.solver.solver).name;
  if ((solver == "ddim" || solver == "ddpm") && options.solver.noise_schedule.empty()) {
    const std::string own = own_schedule(loaded);
    plan.job.solver.noise_schedule = solver == "ddpm" && own.empty() ? "ddpm-linear" : own;
  }
  if (plan.job.solver.noise_schedule.empty()) {
    const bool normal_start = loaded.flow.pairing.source == "gaussian";
    sampler::follow_path(plan.job.solver, flow::parameterisation_of(loaded.flow), options.path, normal_start);
  } else {
    PL_CHECK(options.path.empty(), ExitCode::kUsage, "--path ", options.path, " and discrete times (solver ", solver,
             ", --noise-schedule ", plan.job.solver.noise_schedule, ") do not go together. Leave one out.");
  }
  check_read(options.solver, plan.job.solver);
  narrow_times(plan, options, loaded);
  sampler::method_maker<float>(plan.job.solver, 1,
                               sampler::step_noise(0));  // says what cannot be before anything begins
  sampler::check_solver(loaded.flow.pairing, plan.job.solver);
  if (!options.classifier.empty()) sampler::check_score(loaded.flow.pairing, "--classifier");
  plan.job.source = sampler::open_starts(loaded.flow.pairing.source, plan.job.sample_shape);
  plan.item_shape = plan.job.sample_shape;
  if (options.decoder.empty()) plan.latents = sampler::generated_form(loaded.latents);
  PL_CHECK(plan.latents.scale.empty() || options.moments.empty(), ExitCode::kUsage, "--moments ", options.moments,
           " was given, but this model makes latents (features are of pictures). Give --decoder, too.");
  plan.classes = model.classes;
  plan.class_names = loaded.class_names;
  fill_in_rows(plan, options, loaded);
  start_from_rows(plan, options, loaded);
  return plan;
}

std::string own_schedule(const sampler::CheckpointedModel& loaded) {
  return loaded.flow.predict == "ddpm" ? model::schedule_of(loaded.model->options().time_input) : "";
}

void guide_with(Plan& plan, const flow::FlowOptions& guided, const sampler::CheckpointedModel& weaker,
                sampler::Field field) {
  const model::ModelOptions& network = weaker.model->options();
  const auto need = [&](bool holds, const auto&... what) {
    PL_CHECK(holds, ExitCode::kUsage, "--guide-with ", weaker.directory, " ", what...);
  };
  need(sampler::sample_shape_of(network) == plan.job.sample_shape,
       "makes samples of another shape than the model that it is to guide. Use a checkpoint of the same data.");
  need(network.classes == 0 || network.classes == plan.classes, "knows ", network.classes,
       " classes and the model that it is to guide ", plan.classes,
       " (a label would not mean the same). Use a checkpoint of the same data, or one without labels.");
  need(
      !sampler::is_one_step(*weaker.model) && !weaker.flow.objective.starts_with("nll-") &&
          !guided.objective.starts_with("nll-"),
      "cannot guide, or the model cannot be guided: one of them was trained by likelihood (its velocity is of no path ",
      "that is known, or it has none). Use two models of one path.");
  const flow::Parameterisation trained = flow::parameterisation_of(weaker.flow);
  const std::string& path = guided.path;
  need(trained.path().text() == path && weaker.flow.pairing.source == guided.pairing.source, "was trained on path ",
       trained.path().text(), " from ", weaker.flow.pairing.source, " and the model that it is to guide on ", path,
       " from ", guided.pairing.source,
       " (their velocities are not of the same states). Use a checkpoint of the same.");
  const flow::TimeInterval times = trained.sampling_times();
  const sampler::SolverOptions& solver = plan.job.solver;
  need(!solver.noise_schedule.empty() || solver.path != path || (times.first <= solver.t0 && solver.t1 <= times.last),
       "has a velocity between t = ", times.first, " and ", times.last, ", and the model is followed from ", solver.t0,
       " to ", solver.t1, ". Narrow it with --t0 and --t1, or use a checkpoint that predicts the same.");
  sampler::check_all_times(weaker.flow, "--guide-with " + weaker.directory);
  plan.guide = checkpoint_text(weaker) + ", weights " + weaker.kind;
  plan.job.guide = std::move(field);
}

void check_classifier(Plan& plan, const SampleOptions& options, const sampler::CheckpointedModel& classifier) {
  model::as_classifier(*classifier.model, "--classifier " + options.classifier);
  PL_CHECK(sampler::sample_shape_of(classifier.model->options()) == plan.job.sample_shape, ExitCode::kUsage,
           "--classifier ", options.classifier, " was trained on samples of shape ",
           c10::IntArrayRef(sampler::sample_shape_of(classifier.model->options())), ", and the model's have ",
           c10::IntArrayRef(plan.job.sample_shape), ". Use a classifier of the same data.");
  const sampler::SolverOptions& solver = plan.job.solver;
  PL_CHECK(solver.noise_schedule.empty(), ExitCode::kUsage, "--classifier ", options.classifier,
           " knows times of flow, and --solver ", solver.solver,
           " goes through discrete ones (--noise-schedule). Use another solver, or a TorchScript classifier of those.");
  const std::string& path = classifier.flow.path;
  PL_CHECK(solver.path == path, ExitCode::kUsage, "--classifier ", options.classifier, " was trained along path ", path,
           ", and samples go along ", solver.path,
           " (it would be asked about states that it never saw). Use a classifier of that path, or --path ", path, ".");
  plan.classifier = checkpoint_text(classifier) + ", weights " + classifier.kind;
  if (plan.class_names.empty()) plan.class_names = classifier.class_names;
}

void classify_with(Plan& plan, const SampleOptions& options, sampler::Classifier network) {
  std::vector<std::int64_t> shape = plan.job.sample_shape;
  shape.insert(shape.begin(), kSlotMultiple);
  const at::Tensor logits = network(at::zeros(shape), at::zeros({kSlotMultiple}));
  PL_CHECK(logits.dim() == 2 && logits.size(0) == kSlotMultiple, ExitCode::kInput, "--classifier ", options.classifier,
           " gives a tensor of shape ", logits.sizes(), " for samples of shape ", shape,
           " (it must be logits (S, classes)). Look at what it returns.");
  const std::int64_t classes = logits.size(1);
  PL_CHECK(plan.classes == 0 || plan.classes == classes, ExitCode::kUsage, "--classifier ", options.classifier,
           " knows ", classes, " classes and the model ", plan.classes,
           " (its gradient is that of the model's label). Use a classifier of the same classes.");
  plan.labels = labels_for(options, classes);
  PL_CHECK(!plan.labels.empty(), ExitCode::kUsage,
           "--classifier was given without labels (its gradient is that of one label). Leave --labels none out.");
  plan.classes = classes;
  plan.job.classifier = sampler::log_probability_gradient(std::move(network));
  plan.job.solver.classifier_scale = options.classifier_scale;
}

at::Tensor decoded(const sampler::TorchScript& decoder, const at::Tensor& value) {
  const at::Tensor pixels = decoder.forward(value.unsqueeze(0)).to(at::kFloat);
  PL_CHECK(pixels.dim() == 4 && pixels.size(0) == 1, ExitCode::kInput, "the decoder makes a tensor of shape ",
           pixels.sizes(), " of one sample of shape ", value.sizes(), " (it must be (1, C, H, W), in [-1, 1]).");
  return pixels[0].contiguous();
}

sampler::SinkOptions sink_options(const SampleOptions& options, const Plan& plan) {
  sampler::SinkOptions sink;
  sink.path = options.output;
  sink.first = options.first;
  sink.count = options.count;
  sink.sample_shape = plan.item_shape;
  sink.labelled = !plan.labels.empty();
  sink.classes = plan.classes;
  sink.columns = sampler::columns_for(options.count, static_cast<std::int64_t>(plan.labels.size()));
  sink.seed = options.seed;
  sink.description = plan.description;
  sink.class_names = plan.class_names;
  sink.trajectory_times = options.solver.trajectories;
  sink.trajectory_shape = plan.job.sample_shape;
  if (plan.masked) {
    sink.mask_of = [rows = plan.masked](std::int64_t id) { return rows->mask(rows->row_of(id)); };
  }
  sink.encoded = plan.encoded_scale != 0;
  sink.latents = sink.encoded ? plan.rows->info().latents : plan.latents;
  if (options.pairs) {
    PL_CHECK(options.decoder.empty(), ExitCode::kUsage,
             "--pairs and --decoder do not go together (pixels and the latents' noise are no pairs). Leave one out.");
    sink.start_of = [job = plan.job](std::int64_t id) {
      at::Tensor x0 = sampler::start_value(job, id);
      if (x0.dim() == 3) x0 = x0.permute({1, 2, 0}).contiguous();
      const float* begin = x0.const_data_ptr<float>();
      return std::vector<float>(begin, begin + x0.numel());
    };
  }
  return sink;
}

}  // namespace pathline::apps

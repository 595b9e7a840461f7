// SPDX-License-Identifier: Apache-2.0
#include "apps/sample/row_plan.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "cluster/agree.h"
#include "core/error.h"
#include "sampler/latents.h"
#include "sampler/solver.h"

namespace pathline::apps {
namespace {

using core::ExitCode;
using sampler::StartRows;

void check_encoding(const SampleOptions& options, const Plan& plan, const sampler::CheckpointedModel& loaded) {
  const auto refuse = [](bool given, const char* what, const char* why) {
    PL_CHECK(!given, ExitCode::kUsage, "--encode and ", what, " do not go together (", why, "). Leave one out.");
  };
  refuse(!options.start.empty(), "--start", "the one goes from data to noise, the other from noise to data");
  refuse(!options.decoder.empty(), "--decoder", "noise has no pixels");
  refuse(!options.moments.empty(), "--moments", "the set holds the data that are there already");
  refuse(options.pairs, "--pairs", "what is written are pairs of data and noise anyway");
  refuse(!plan.job.solver.noise_schedule.empty(), "--noise-schedule", "discrete times lead to the data only");
  PL_CHECK(!sampler::is_one_step(*loaded.model) && loaded.flow.objective != "distill", ExitCode::kUsage,
           "--encode follows a velocity back to the noise, and this model has none: it takes noise to data in given ",
           "steps. Use a model of velocities.");
}

/// The rows' own where the model takes labels and none are asked for. With --text labels number prompts: row i has
/// prompt i, as sample i always has.
void take_labels(Plan& plan, const SampleOptions& options, const std::string& set) {
  if (!options.labels.empty() || !options.text.empty() || plan.classes == 0) return;
  plan.labels = plan.rows->labels();
  PL_CHECK(!plan.labels.empty(), ExitCode::kUsage, set, " has no labels, and the model takes one with every sample ",
           "(samples have their rows'). Give --labels: none, one for all, or a file.");
  const auto largest = std::ranges::max(plan.labels);
  PL_CHECK(largest < plan.classes, ExitCode::kUsage, set, " has label ", largest, ", and the model knows ",
           plan.classes, " classes. Give --labels.");
}

void check_filling_in(const SampleOptions& options, const Plan& plan) {
  const auto refuse = [&](bool given, const char* what, const char* why) {
    PL_CHECK(!given, ExitCode::kUsage, "--mask and ", what, " do not go together (", why, "). Leave one out.");
  };
  refuse(!options.encode.empty() || !options.start.empty(), "--encode or --start",
         "what is known of a row says where its samples start");
  refuse(options.solver.weighs() || !options.guide_with.empty() || !options.classifier.empty(), "guidance",
         "fields are asked about rows, not about labels");
  refuse(!options.labels.empty(), "--labels", "samples have the labels of their rows");
  refuse(!options.decoder.empty(), "--decoder", "it would change what is known");
  refuse(!options.path.empty(), "--path", "what is known stays as it is on the path of training");
  const sampler::Solver solver = sampler::find_solver(plan.job.solver.solver);
  refuse(solver.family != sampler::SolverFamily::kRungeKutta && solver.name != "ab2", ("solver " + solver.name).c_str(),
         "what is known stays as it is where velocities are added up: use a Runge-Kutta method or ab2");
}

}  // namespace

void fill_in_rows(Plan& plan, const SampleOptions& options, const sampler::CheckpointedModel& loaded) {
  const bool inpaints = loaded.model->options().inpaint;
  PL_CHECK(inpaints || options.mask.empty(), ExitCode::kUsage, "--mask ", options.mask,
           " was given, but this model was not trained to fill in (flow.mask in its recipe). Leave it out.");
  PL_CHECK(!inpaints || !options.mask.empty(), ExitCode::kUsage, "this model was trained with flow.mask = \"",
           loaded.flow.mask, "\" and fills in what is not known of a sample. Name a set of such with --mask SET.h5.");
  if (!inpaints) return;
  check_filling_in(options, plan);
  const auto rows = std::make_shared<const sampler::MaskedRows>(options.mask, loaded.flow.mask, plan.job.sample_shape);
  sampler::check_same_latents("--mask " + options.mask, rows->latents(), loaded.latents);
  plan.labels.clear();
  if (plan.classes > 0) {
    PL_CHECK(rows->labels().defined() && rows->classes() <= plan.classes, ExitCode::kUsage, "--mask ", options.mask,
             " has ", rows->classes(), " classes, and the model knows ", plan.classes,
             " (samples have the labels of their rows). Give a set of the same labels.");
    const std::int64_t* labels = rows->labels().const_data_ptr<std::int64_t>();
    plan.labels.assign(labels, labels + rows->count());
  }
  plan.masked = rows;
  plan.job.null_label = rows->count() - 1;  // "labels" are rows, from 0 to it
  // What is known stays as it is to the bit: the noise alone is brought to the path's first time.
  const double scale = std::exchange(plan.job.solver.start_scale, 1.0);
  plan.job.start = [rows, scale, source = plan.job.source, seed = plan.job.seed,
                    shape = plan.job.sample_shape](std::int64_t id) {
    sampler::Job noise;
    noise.sample_shape = shape;
    noise.seed = seed;
    noise.source = source;
    const at::Tensor x0 = sampler::start_value(noise, id);
    return rows->start(rows->row_of(id), scale == 1 ? x0 : x0 * scale);
  };
}

SampleOptions with_row_count(const SampleOptions& options, cluster::Communicator& world) {
  SampleOptions counted = options;
  const std::string& set = options.encode.empty() ? options.start : options.encode;
  if (options.count != 0 || set.empty()) return counted;
  cluster::together(world,
                    [&] { counted.count = std::max<std::int64_t>(0, sampler::count_rows(set) - options.first); });
  return counted;
}

void start_from_rows(Plan& plan, const SampleOptions& options, const sampler::CheckpointedModel& loaded) {
  const bool encodes = !options.encode.empty();
  if (!encodes && options.start.empty()) return;
  const std::string option = encodes ? "--encode" : "--start";
  const std::string& path = encodes ? options.encode : options.start;
  if (encodes) check_encoding(options, plan, loaded);
  const auto rows = std::make_shared<const StartRows>(
      option, path, encodes ? StartRows::Kind::kItems : StartRows::Kind::kStarts, plan.job.sample_shape);
  PL_CHECK(options.first + options.count <= rows->info().count, ExitCode::kUsage, option, " ", path, " has ",
           rows->info().count, " rows, and samples ", options.first, " to ", options.first + options.count - 1,
           " were asked for (sample i starts from row i). Ask for fewer with --first and --count.");
  sampler::check_same_latents(option + " " + path, rows->info().latents, loaded.latents);
  plan.rows = rows;
  plan.job.start = [rows](std::int64_t id) { return rows->value(id); };
  take_labels(plan, options, option + " " + path);
  if (encodes) plan.encoded_scale = sampler::encode_backwards(plan.job.solver);
}

}  // namespace pathline::apps

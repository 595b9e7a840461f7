// SPDX-License-Identifier: Apache-2.0
#include "trainer/teacher.h"

#include <ATen/core/Tensor.h>

#include <utility>

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/file_crc.h"
#include "model/weights.h"
#include "sampler/checkpointed_model.h"

namespace pathline::trainer {
namespace {

constexpr auto kUsage = core::ExitCode::kUsage;

bool is_file(const std::string& teacher) { return teacher.ends_with(".safetensors"); }

struct InRun {
  std::string path, ema;  // as sampler::load_checkpointed_model() takes them
};

InRun in_run(const std::string& teacher) {
  const auto colon = teacher.rfind(':');
  if (colon == std::string::npos) return {teacher, ""};
  const std::string kind = teacher.substr(colon + 1);
  PL_CHECK(kind == "master" || kind.starts_with("ema-"), kUsage, "flow.teacher = \"", teacher, "\" asks for weights \"",
           kind, "\", which no checkpoint has. Write RUN, RUN:ema-0.999 or RUN:master.");
  return {teacher.substr(0, colon), kind == "master" ? "none" : kind.substr(4)};
}

void check_same_samples(const std::string& teacher, const model::ModelOptions& its, const model::ModelOptions& ours) {
  PL_CHECK(sampler::sample_shape_of(its) == sampler::sample_shape_of(ours) && its.classes == ours.classes, kUsage,
           "flow.teacher = \"", teacher, "\" was made for samples of shape ",
           c10::IntArrayRef(sampler::sample_shape_of(its)), " and ", its.classes, " classes, and the student for ",
           c10::IntArrayRef(sampler::sample_shape_of(ours)), " and ", ours.classes,
           " (both are asked about the same samples). Use a teacher of the same data, or set model.classes.");
}

void check_same_flow(const std::string& teacher, const flow::FlowOptions& its, const flow::FlowOptions& ours) {
  PL_CHECK((its.objective == "flow" || its.objective == "distill") && its.predict == "velocity", kUsage,
           "flow.teacher = \"", teacher, "\" has objective = \"", its.objective, "\" and predict = \"", its.predict,
           "\" (a student follows velocities along a path). Use a teacher with objective = \"flow\" and predict = ",
           "\"velocity\".");
  PL_CHECK(its.path == ours.path && its.pairing.source == ours.pairing.source, kUsage, "flow.teacher = \"", teacher,
           "\" goes along path \"", its.path, "\" from source \"", its.pairing.source, "\", and the student along \"",
           ours.path, "\" from \"", ours.pairing.source, "\" (the teacher is asked at the student's states). ",
           "Give both the same.");
  PL_CHECK(its.mask == ours.mask, kUsage, "flow.teacher = \"", teacher, "\" has flow.mask = \"", its.mask,
           "\" (a student is not told which part of a sample is known). Use a teacher without a mask.");
  PL_CHECK(its.objective != "distill" || its.distill.steps == 2 * ours.distill.steps, kUsage, "flow.teacher = \"",
           teacher, "\" was distilled to ", its.distill.steps,
           " steps, and a student of flow.distill_steps = ", ours.distill.steps, " needs one of ",
           2 * ours.distill.steps, " (each of its steps stands for two of the teacher). Halve once a run.");
}

}  // namespace

std::unique_ptr<model::Module> load_teacher(core::FileSystem& files, const flow::FlowOptions& options,
                                            const model::VelocityModel& student) {
  const std::string& teacher = options.distill.teacher;
  if (teacher.empty()) return nullptr;
  std::unique_ptr<model::Module> module;
  if (is_file(teacher)) {
    module = model::make_module(student.options(), 0);
    model::load_weights(files, teacher, *module, model::MissingWeights::kError);
  } else {
    const InRun run = in_run(teacher);
    sampler::CheckpointedModel loaded = sampler::load_checkpointed_model(files, run.path, run.ema);
    check_same_samples(teacher, loaded.model->options(), student.options());
    check_same_flow(teacher, loaded.flow, options);
    module = std::move(loaded.model);
  }
  const at::Tensor like = student.parameters().front().tensor;
  if (like.scalar_type() == at::kBFloat16) sampler::use_bf16(*module);
  sampler::move_to(*module, like.device());
  module->set_training(false);
  return module;
}

std::string teacher_identity(core::FileSystem& files, const std::string& teacher) {
  if (is_file(teacher)) return "file crc32c " + core::crc_of_file(files, teacher);
  const InRun run = in_run(teacher);
  const std::string directory = checkpoint::resolve(files, run.path);
  const std::string weights = run.ema.empty() ? "as sampled" : run.ema == "none" ? "master" : "ema-" + run.ema;
  const std::string manifest = core::join_path(directory, "manifest.json");
  return "manifest crc32c " + core::crc_of_file(files, manifest) + ", weights " + weights;
}

std::string pinned_teacher(core::FileSystem& files, const std::string& teacher) {
  if (teacher.empty() || is_file(teacher)) return teacher;
  const std::string path = in_run(teacher).path;
  return checkpoint::resolve(files, path) + teacher.substr(path.size());
}

}  // namespace pathline::trainer

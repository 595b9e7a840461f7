// SPDX-License-Identifier: Apache-2.0
#include "apps/sample/plan_record.h"

#include <vector>

#include "apps/sample/plan.h"
#include "checkpoint/checkpoint.h"
#include "core/file_crc.h"
#include "core/file_system.h"
#include "core/random.h"
#include "core/text.h"
#include "sampler/solver.h"
#include "sampler/solver_record.h"

namespace pathline::apps {
namespace {

std::string crc_of_file(const std::string& path) {
  core::PosixFileSystem files;
  return core::crc_of_file(files, path);
}

std::string labels_text(const std::vector<std::int64_t>& labels) {
  std::string text;
  for (const std::int64_t label : labels) text += (text.empty() ? "" : ",") + std::to_string(label);
  if (labels.empty()) return "none";
  if (text.size() <= 200) return text;
  return core::concat(labels.size(), " labels, fnv1a64 ", std::hex, core::hash_name(text));
}

/// Of --features: pixels, a TorchScript file or a classifier of our own.
std::string features_text(const std::string& features) {
  core::PosixFileSystem files;
  if (features.empty()) return "pixels";
  if (!files.is_directory(features)) return "crc32c " + crc_of_file(features);
  return manifest_text(checkpoint::resolve(files, features));
}

std::string description_of(const SampleOptions& options, const sampler::SolverOptions& solver,
                           const sampler::CheckpointedModel& loaded, const Decided& decided) {
  return core::concat("step ", loaded.step, " of ", loaded.directory, ", weights ", loaded.kind, ", ",
                      options.precision, ", ", sampler::described(solver), ", seed ", options.seed, ", slots ",
                      decided.slots, loaded.prompts.empty() ? "" : ", text " + loaded.prompts,
                      options.classifier.empty() ? "" : ", classifier " + options.classifier,
                      options.mask.empty() ? "" : ", known parts of " + options.mask,
                      options.encode.empty() ? "" : ", encoded from " + options.encode,
                      options.start.empty() ? "" : ", started from " + options.start,
                      options.decoder.empty() ? "" : ", decoder " + options.decoder,
                      options.decoder.empty() && !loaded.latents.scale.empty()
                          ? "; latent = x / scale + shift"
                          : "; 8 bits: round((x + 1) * 127.5) clamped");
}

}  // namespace

std::string manifest_text(const std::string& step_directory) {
  return "manifest crc32c " + crc_of_file(core::join_path(step_directory, "manifest.json"));
}

std::string checkpoint_text(const sampler::CheckpointedModel& loaded) {
  return core::concat("step ", loaded.step, ", ", manifest_text(loaded.directory));
}

void complete(Plan& plan, const SampleOptions& options, const sampler::CheckpointedModel& loaded,
              const Decided& decided, const std::string& kernels) {
  plan.job.slots = decided.slots;
  sampler::JobRecord& record = plan.record;
  record.add("checkpoint", checkpoint_text(loaded));
  record.add("weights", loaded.kind);
  record.add("precision", options.precision);
  record.add("seed", std::to_string(options.seed));
  record.add("ids", core::concat(options.first, " to ", options.first + options.count - 1));
  record.add("labels", labels_text(plan.labels));
  if (plan.masked) record.add("mask", plan.masked->identity());
  if (plan.rows) record.add(plan.encoded_scale != 0 ? "encode" : "start", plan.rows->identity());
  if (!loaded.prompts.empty()) record.add("text", loaded.prompts);
  if (plan.job.source) record.add("source", plan.job.source->identity());
  sampler::add_solver(plan.job.solver, record);
  if (!options.guide_with.empty()) record.add("guide-with", plan.guide);
  if (!options.classifier.empty()) {
    record.add("classifier", plan.classifier.empty() ? "crc32c " + crc_of_file(options.classifier) : plan.classifier);
  }
  record.add("slots", std::to_string(decided.slots));
  record.add("threads", std::to_string(decided.threads));
  record.add("kernels", kernels);
  if (!options.decoder.empty()) record.add("decoder", "crc32c " + crc_of_file(options.decoder));
  if (!options.moments.empty()) {
    record.add("features", features_text(options.features));
  }
  record.add("items", sampler::takes_png(options.output) ? "png" : "raw");
  plan.description = description_of(options, plan.job.solver, loaded, decided);
}

}  // namespace pathline::apps

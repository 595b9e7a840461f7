// SPDX-License-Identifier: Apache-2.0
#include "trainer/preview.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "cluster/agree.h"
#include "core/error.h"
#include "core/log.h"
#include "sampler/bijection.h"
#include "sampler/checkpointed_model.h"
#include "sampler/distilled.h"
#include "sampler/part_file.h"
#include "sampler/path_field.h"
#include "sampler/sink.h"
#include "sampler/to_record.h"
#include "sampler/trajectory.h"

namespace pathline::trainer {
namespace {

constexpr std::int64_t kSlots = 16;  // the same shape on any number of ranks
constexpr std::int64_t kTimes = 33;  // of a point's way

/// Ids that `rank` makes.
sampler::IdRange share_of(int rank, int ranks, std::int64_t count) {
  return {count * rank / ranks, count * (rank + 1) / ranks};
}

sampler::Job job_for(const model::ModelOptions& model, const Recipe& recipe) {
  sampler::Job job;
  job.sample_shape = sampler::sample_shape_of(model);
  job.null_label = sampler::null_label_of(model);
  job.slots = kSlots;
  job.seed = static_cast<std::uint64_t>(recipe.run.seed);
  job.source = sampler::open_starts(recipe.flow.pairing.source, job.sample_shape);
  job.solver.solver = recipe.sample.solver;
  job.solver.steps = recipe.sample.steps;
  job.solver.guidance = job.null_label >= 0 ? recipe.sample.guidance : 1.0;
  if (job.sample_shape.size() == 1) job.solver.trajectories = sampler::even_times(kTimes);
  if (sampler::is_distilled(recipe.flow)) {  // whatever previews of other models take
    sampler::SolverOptions usual = job.solver;
    usual.solver = sampler::SolverOptions().solver;
    usual.steps = recipe.flow.distill.steps;
    job.solver = sampler::in_distilled_steps(usual, recipe.flow.distill.steps);
  }
  const bool normal_start = recipe.flow.pairing.source == "gaussian";
  sampler::follow_path(job.solver, flow::parameterisation_of(recipe.flow), "", normal_start);
  return job;
}

std::unique_ptr<sampler::Sink> picture_of(const sampler::Job& job, const model::ModelOptions& model,
                                          const data::SetInfo& info, const Recipe& recipe, const std::string& path) {
  sampler::SinkOptions options;
  options.path = path;
  options.count = recipe.sample.count;
  options.sample_shape = job.sample_shape;
  if (job.sample_shape.size() == 1) options.sample_shape[0] = std::min<std::int64_t>(2, options.sample_shape[0]);
  options.trajectory_times = job.solver.trajectories;
  options.trajectory_shape = options.sample_shape;
  options.labelled = model.classes > 0;
  options.classes = model.classes;
  options.class_names = info.class_names;
  options.columns = sampler::columns_for(recipe.sample.count, model.classes);
  options.seed = job.seed;
  return sampler::make_sink(options);
}

/// Of points only the two coordinates that are drawn.
sampler::Record drawn(sampler::Sample&& sample) {
  if (sample.value.dim() == 1) {
    sample.value = sample.value.narrow(0, 0, 2);
    if (sample.trajectory.defined()) sample.trajectory = sample.trajectory.narrow(1, 0, 2);
  }
  return sampler::to_record(sample);
}

/// Every rank's bytes on rank 0, by rank; nothing elsewhere. Collective.
std::vector<std::vector<std::byte>> gathered(cluster::Communicator& ranks, std::span<const std::byte> mine) {
  const auto world = static_cast<std::size_t>(ranks.size());
  const std::uint64_t size = mine.size();
  std::vector<std::uint64_t> sizes(world);
  ranks.all_gather(std::as_bytes(std::span(&size, 1)), std::as_writable_bytes(std::span(sizes)));
  std::vector<std::span<const std::byte>> send(world);
  send[0] = mine;
  std::vector<std::vector<std::byte>> all(world);
  if (ranks.rank() == 0) {
    for (std::size_t r = 0; r < world; ++r) all[r].resize(sizes[r]);
  }
  const std::vector<std::span<std::byte>> receive(all.begin(), all.end());
  ranks.all_to_all(send, receive);
  return all;
}

/// A picture for people is not worth a run.
void finish_or_warn(sampler::Sink& picture) {
  try {
    picture.finish();
  } catch (const core::Error& error) {
    if (error.code() != core::ExitCode::kEnvironment) throw;
    core::log_warning(error.what(), " There is no preview of this step; training goes on.");
  }
}

}  // namespace

void write_preview(model::Module& model, const data::SetInfo& info, const Recipe& recipe, const std::string& path,
                   cluster::Communicator& ranks, cluster::Whereabouts& here) {
  const at::NoGradGuard no_grad;
  const std::int64_t count = recipe.sample.count, classes = model.options().classes;
  sampler::Job job = job_for(model.options(), recipe);
  if (sampler::is_one_step(model)) {
    sampler::SolverOptions usual;
    usual.trajectories = job.solver.trajectories;
    job.solver = sampler::in_one_step(usual);
  }
  const flow::Parameterisation trained = flow::parameterisation_of(recipe.flow);
  const sampler::Field velocity = sampler::velocity_of(
      trained.gives_own_time() ? sampler::noise_field_of(model) : sampler::field_of(model), trained);
  const sampler::Field field = [&](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    here.progress();
    return velocity(x, t, labels);
  };
  model.set_training(false);
  const std::vector<std::byte> part = cluster::together(ranks, [&] {
    const sampler::IdRange mine = share_of(ranks.rank(), ranks.size(), count);
    std::vector<sampler::Record> records(static_cast<std::size_t>(mine.count()));
    sampler::generate(
        field, job, mine.first, mine.last, [classes](std::int64_t id) { return classes > 0 ? id % classes : -1; },
        [&](sampler::Sample&& sample) {
          const auto place = static_cast<std::size_t>(sample.id - mine.first);
          records[place] = drawn(std::move(sample));
        });
    return sampler::encode_part(0, mine, records);
  });
  model.set_training(true);
  const std::vector<std::vector<std::byte>> parts = gathered(ranks, part);
  cluster::together(ranks, [&] {
    if (ranks.rank() != 0) return;
    const auto picture = picture_of(job, model.options(), info, recipe, path);
    for (int r = 0; r < ranks.size(); ++r) {
      const sampler::IdRange theirs = share_of(r, ranks.size(), count);
      for (sampler::Record& record : sampler::decode_part(parts[static_cast<std::size_t>(r)], 0, theirs, "preview")) {
        picture->put(std::move(record));
      }
    }
    finish_or_warn(*picture);
  });
}

void check_preview(const Recipe& recipe, const data::SetInfo& info) {
  PL_CHECK(recipe.sample.every_steps == 0 || !recipe.model.inpaint, core::ExitCode::kUsage,
           "sample.every_steps = ", recipe.sample.every_steps,
           " with flow.mask (a preview would need samples of which a part is known). Leave it away, and sample ",
           "checkpoints with `pathline sample --mask`.");
  if (recipe.flow.objective == "classifier") {
    PL_CHECK(recipe.sample.every_steps == 0, core::ExitCode::kUsage, "sample.every_steps = ", recipe.sample.every_steps,
             " with flow.objective = \"classifier\" (it makes no samples). Use 0.");
    return;
  }
  PL_CHECK(recipe.sample.every_steps == 0 || info.kind != data::ItemKind::kLatent, core::ExitCode::kUsage,
           "sample.every_steps = ", recipe.sample.every_steps,
           " with a set of latents (they are no pictures). Leave it ",
           "away, and sample checkpoints with `pathline sample --decoder`.");
  const sampler::Job job = job_for(recipe.model, recipe);
  sampler::method_maker<float>(job.solver, 1, sampler::step_noise(0));
  sampler::check_solver(recipe.flow.pairing, job.solver);
  if (recipe.sample.every_steps > 0) picture_of(job, recipe.model, info, recipe, "a preview.png");
}

}  // namespace pathline::trainer

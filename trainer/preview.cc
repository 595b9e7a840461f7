// SPDX-License-Identifier: Apache-2.0
#include "trainer/preview.h"

#include <ATen/core/grad_mode.h>

#include "cluster/agree.h"
#include "sampler/checkpointed_model.h"
#include "sampler/sink.h"
#include "sampler/spread.h"
#include "sampler/to_record.h"

namespace pathline::trainer {
namespace {

constexpr std::int64_t kSlots = 16;  // the same shape on any number of ranks

sampler::Job job_for(const model::VelocityModel& model, const Recipe& recipe) {
  sampler::Job job;
  job.sample_shape = sampler::sample_shape_of(model.options());
  job.null_label = sampler::null_label_of(model.options());
  job.slots = kSlots;
  job.seed = static_cast<std::uint64_t>(recipe.run.seed);
  job.solver.solver = recipe.sample.solver;
  job.solver.steps = recipe.sample.steps;
  job.solver.guidance = job.null_label >= 0 ? recipe.sample.guidance : 1.0;
  return job;
}

}  // namespace

void write_preview(model::VelocityModel& model, const data::SetInfo& info, const Recipe& recipe,
                   const std::string& path, cluster::Communicator& ranks) {
  const at::NoGradGuard no_grad;
  const sampler::Job job = job_for(model, recipe);
  const std::int64_t classes = model.options().classes;
  std::unique_ptr<sampler::Sink> sink;
  cluster::together(ranks, [&] {
    if (ranks.rank() != 0) return;
    sampler::SinkOptions options;
    options.path = path;
    options.count = recipe.sample.count;
    options.sample_shape = job.sample_shape;
    options.labelled = classes > 0;
    options.classes = classes;
    options.class_names = info.class_names;
    options.columns = sampler::columns_for(recipe.sample.count, classes);
    options.seed = job.seed;
    sink = sampler::make_sink(options);
  });
  model.set_training(false);
  sampler::generate_on_ranks(
      ranks, sampler::field_of(model), job, 0, recipe.sample.count,
      [classes](std::int64_t id) { return classes > 0 ? id % classes : -1; },
      {[&](const sampler::Sample& sample) { sink->put(sampler::to_record(sample)); }, [](std::int64_t) {}});
  model.set_training(true);
  cluster::together(ranks, [&] {
    if (sink) sink->finish();
  });
}

}  // namespace pathline::trainer

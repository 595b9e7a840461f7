// SPDX-License-Identifier: Apache-2.0
#include "trainer/preview.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "cluster/agree.h"
#include "cluster/block_layout.h"
#include "sampler/generate.h"
#include "sampler/sink.h"
#include "trainer/dataset.h"
#include "trainer/objective.h"

namespace pathline::trainer {
namespace {

constexpr std::int64_t kSlots = 16;  // the same shape on any number of ranks

sampler::Job job_for(const model::VelocityModel& model, const data::SetInfo& info, const Recipe& recipe) {
  sampler::Job job;
  job.sample_shape = sample_shape(info);
  job.null_label = model.options().classes > 0 ? model.options().classes : -1;
  job.slots = kSlots;
  job.seed = static_cast<std::uint64_t>(recipe.run.seed);
  job.solver.solver = recipe.sample.solver;
  job.solver.steps = recipe.sample.steps;
  job.solver.guidance = model.options().classes > 0 ? recipe.sample.guidance : 1.0;
  return job;
}

}  // namespace

void write_preview(model::VelocityModel& model, const data::SetInfo& info, const Recipe& recipe, const std::string& path,
                   cluster::Communicator& ranks) {
  const at::NoGradGuard no_grad;
  const sampler::Job job = job_for(model, info, recipe);
  const std::int64_t classes = model.options().classes, count = recipe.sample.count;
  const auto label_of = [classes](std::int64_t id) { return classes > 0 ? id % classes : -1; };
  const sampler::Field field = [&](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    return model.velocity(x, t, condition_for(model, labels));
  };

  std::vector<float> values(static_cast<std::size_t>(count) * info.item_values());
  std::vector<std::size_t> offsets;
  for (int r = 0; r <= ranks.size(); ++r) {
    offsets.push_back(static_cast<std::size_t>(cluster::part_begin(r, ranks.size(), count)) * info.item_values() * sizeof(float));
  }
  model.set_training(false);
  cluster::together(ranks, [&] {
    sampler::generate(field, job, cluster::part_begin(ranks.rank(), ranks.size(), count),
                      cluster::part_begin(ranks.rank() + 1, ranks.size(), count), label_of, [&](sampler::Sample&& sample) {
                        std::copy_n(sample.value.const_data_ptr<float>(), info.item_values(),
                                    values.begin() + sample.id * static_cast<std::int64_t>(info.item_values()));
                      });
  });
  model.set_training(true);
  ranks.all_gather_in_place(std::as_writable_bytes(std::span(values)), offsets);

  cluster::together(ranks, [&] {
    if (ranks.rank() != 0) return;
    sampler::SinkOptions options;
    options.path = path;
    options.count = count;
    options.sample_shape = job.sample_shape;
    options.labelled = classes > 0;
    options.class_names = info.class_names;
    const auto sink = sampler::make_sink(options);
    for (std::int64_t id = 0; id < count; ++id) {
      sampler::Sample sample;
      sample.id = id;
      sample.label = label_of(id);
      sample.value = at::from_blob(values.data() + id * static_cast<std::int64_t>(info.item_values()), job.sample_shape, at::kFloat);
      sink->put(sample);
    }
    sink->finish();
  });
}

}  // namespace pathline::trainer

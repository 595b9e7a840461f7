// SPDX-License-Identifier: Apache-2.0
#include "trainer/made_training.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "cluster/agree.h"
#include "core/machine.h"
#include "core/random.h"
#include "model/recompute.h"
#include "trainer/run_setup.h"

namespace pathline::trainer {
namespace {

/// As if read from a data set: values in [-1, 1), labels in turn.
data::Batch made_batch(const cluster::SliceRange& own, const data::SetInfo& info, std::uint64_t position) {
  data::Batch batch;
  batch.position = position;
  batch.first = position + static_cast<std::uint64_t>(own.first);
  batch.values.resize(static_cast<std::size_t>(own.size()) * info.item_values());
  core::Draws(0, batch.first, core::Purpose::kMadeData).fill_uniform(batch.values);
  for (auto& value : batch.values) value = 2 * value - 1;
  batch.texts.resize(static_cast<std::size_t>(own.size()) * info.text.values(), 0.5f);
  for (std::int64_t i = 0; i < own.size(); ++i) {
    batch.samples.push_back(i);
    batch.labels.push_back(info.classes > 0 ? (own.first + i) % info.classes : -1);
  }
  return batch;
}

data::SetInfo made_info(const model::ModelOptions& model) {
  PL_CHECK(model.input_channels > 0 && model.classes >= 0, core::ExitCode::kUsage,
           "the recipe does not say model.input_size, model.input_channels and model.classes (a benchmark has no data "
           "set to ",
           "take them from). Add --set model.input_size=32 --set model.input_channels=3 --set model.classes=10.");
  data::SetInfo info;
  info.kind = model.input_size == 0 ? data::ItemKind::kPoint : data::ItemKind::kImage;
  info.height = info.width = std::max<std::int64_t>(1, model.input_size);
  info.channels = model.input_channels;
  info.classes = model.classes;
  if (model::takes_text(model)) {
    PL_CHECK(model.text_tokens > 0 && model.text_width > 0 && model.text_pooled > 0, core::ExitCode::kUsage,
             "the recipe does not say model.text_tokens, model.text_width and model.text_pooled (a benchmark has no "
             "data set to take them from). Stable Diffusion 3's are 154, 4096 and 2048.");
    info.text = {model.text_tokens, model.text_width, model.text_pooled};
    info.null_text = std::make_shared<const std::vector<float>>(info.text.values(), 0.0f);
  }
  return info;
}

}  // namespace

MadeTraining::MadeTraining(core::Config config, cluster::Communicator& ranks) : ranks_(ranks) {
  cluster::together(ranks, [&] {
    if (!config.has("data", "path")) config.set("data.path=[\"none\"]");
    recipe_ = read_recipe(config);
    check_ranks(recipe_, ranks.size());
    at::set_num_threads(static_cast<int>(recipe_.run.threads));
    info_ = made_info(recipe_.model);
    model_ = model::make_module(recipe_.model, static_cast<std::uint64_t>(recipe_.run.seed));
    model_->set_activation_checkpointing(model::parse_activation_checkpointing(recipe_.train.activation_checkpointing));
    model_->set_training(true);
  });
  engine_ = make_engine(recipe_, *model_, ranks);
  objective_ = make_objective(recipe_.flow, static_cast<std::uint64_t>(recipe_.run.seed), *model_);
  step_ = std::make_unique<TrainingStep>(recipe_, *objective_, *model_, *engine_.state, *engine_.backend, info_, ranks,
                                         where_);
}

MadeTraining::Timed MadeTraining::step(std::int64_t n) {
  const auto position = static_cast<std::uint64_t>(n * recipe_.train.batch);
  data::Batch batch = made_batch(own_samples(recipe_.train, ranks_), info_, position);
  ranks_.barrier();
  const double start = core::monotonic_seconds();
  Timed timed{(*step_)(batch, n, n), 0};
  timed.seconds = core::monotonic_seconds() - start;
  ranks_.all_reduce(std::span(&timed.seconds, 1), cluster::Reduction::kMax);
  return timed;
}

}  // namespace pathline::trainer

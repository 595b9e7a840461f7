// SPDX-License-Identifier: Apache-2.0
#include "sampler/checkpointed_model.h"

#include <ATen/core/Tensor.h>

#include <cstdlib>
#include <optional>
#include <ranges>
#include <span>

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/text.h"
#include "data/latents.h"
#include "sampler/bijection.h"
#include "sampler/prompts.h"

namespace pathline::sampler {
namespace {

constexpr std::string_view kEma = "ema-";

/// "0.999" and "0.9990" are the same average.
std::string kind_of_average(const checkpoint::Reader& reader, double decay) {
  std::vector<std::string> held;
  for (const std::string& kind : reader.kinds()) {
    if (!kind.starts_with(kEma)) continue;
    if (std::strtod(kind.c_str() + kEma.size(), nullptr) == decay) return kind;
    held.push_back(kind.substr(kEma.size()));
  }
  throw core::Error(core::ExitCode::kUsage,
                    core::concat("checkpoint ", reader.directory(), " holds no average of weights with decay ", decay,
                                 held.empty() ? " (it holds none at all)" : " (it holds " + core::listed(held) + ")",
                                 ". Choose another with --ema, or --ema none for the raw weights."));
}

std::string kind_of_weights(const checkpoint::Reader& reader, const std::string& ema,
                            const std::vector<double>& decays) {
  if (ema == "none" || (ema.empty() && decays.empty())) return "master";
  return kind_of_average(reader, ema.empty() ? decays.front() : core::parse_number(ema, "--ema"));
}

}  // namespace

void load_kind(const checkpoint::Reader& reader, const std::string& kind,
               const std::vector<model::NamedTensor>& tensors) {
  for (const model::NamedTensor& named : tensors) {
    const checkpoint::TensorRecord* found = nullptr;
    for (const checkpoint::TensorRecord& record : reader.tensors()) {
      if (record.kind == kind && record.name == named.name) found = &record;
    }
    PL_CHECK(found != nullptr && found->dtype == "F32" && named.tensor.sizes() == at::IntArrayRef(found->shape),
             core::ExitCode::kInput, "checkpoint ", reader.directory(), " holds no tensor ", kind, "/", named.name,
             " of shape ", named.tensor.sizes(), " (its recipe describes a network that needs it). ",
             "It was damaged or made by another version: use another checkpoint.");
    PL_ASSERT(named.tensor.is_contiguous() && named.tensor.scalar_type() == at::kFloat);
    const auto count = static_cast<std::size_t>(named.tensor.numel());
    reader.read(kind, named.name, 0, count,
                std::as_writable_bytes(std::span(named.tensor.mutable_data_ptr<float>(), count)));
  }
}

CheckpointedModel load_checkpointed_model(core::FileSystem& files, const std::string& path, const std::string& ema) {
  CheckpointedModel loaded;
  loaded.directory = checkpoint::resolve(files, path);
  const checkpoint::Reader reader(files, loaded.directory);
  loaded.step = reader.state().step;
  const auto names = reader.state().extra.find("class_names");
  if (names != reader.state().extra.end()) loaded.class_names = core::split(names->second, '\n');
  loaded.recipe = core::Config::from_text(reader.state().recipe, loaded.directory);
  model::ModelOptions options;
  model::bind(loaded.recipe, options);
  flow::bind(loaded.recipe, loaded.flow);
  data::bind(loaded.recipe, loaded.latents);
  std::vector<double> decays;
  loaded.recipe.bind("ema", "decays", decays, core::OnResume::kChangeable, "averages of weights");
  loaded.kind = kind_of_weights(reader, ema, decays);
  loaded.model = model::make_module(options, 0);
  load_kind(reader, loaded.kind, loaded.model->parameters());
  load_kind(reader, "buffer", loaded.model->buffers());
  loaded.model->set_training(false);
  return loaded;
}

void use_prompts(CheckpointedModel& loaded, const std::string& path) {
  Prompts prompts = read_prompts(path);
  loaded.prompts = prompts.identity();
  loaded.model = prompted(std::shared_ptr<model::Module>(std::move(loaded.model)), std::move(prompts));
  loaded.class_names.clear();
}

void use_bf16(model::Module& model) {
  for (at::Tensor parameter : model.parameters() | std::views::transform(&model::NamedTensor::tensor)) {
    parameter.set_data(parameter.detach().to(at::kBFloat16));
  }
}

void move_to(const model::Module& model, at::Device device) {
  for (const auto* list : {&model.parameters(), &model.buffers()}) {
    for (at::Tensor tensor : *list | std::views::transform(&model::NamedTensor::tensor)) {
      if (tensor.device() != device) tensor.set_data(tensor.detach().to(device));
    }
  }
}

std::vector<std::int64_t> sample_shape_of(const model::ModelOptions& options) {
  if (options.input_size == 0) return {options.input_channels};
  return {options.input_channels, options.input_size, options.input_size};
}

std::int64_t null_label_of(const model::ModelOptions& options) { return options.classes > 0 ? options.classes : -1; }

namespace {

using Forward = at::Tensor (model::VelocityModel::*)(const at::Tensor&, const at::Tensor&, const model::Condition&);

/// Slots live on the CPU, a model that is being trained may be on a GPU.
Field field_by(model::VelocityModel& model, Forward forward) {
  return [&model, forward](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    const at::Device device = model.parameters().front().tensor.device();
    model::Condition condition;
    if (labels.defined()) condition.labels = labels.to(device);
    return (model.*forward)(x.to(device), t.to(device), condition).to(x.device(), at::kFloat);
  };
}

}  // namespace

Field field_of(model::Module& model) {
  if (auto* bijection = dynamic_cast<model::Bijection*>(&model)) return one_step_field_of(*bijection);
  return field_by(model::as_velocity_model(model, "sampling"), &model::VelocityModel::velocity);
}

Field noise_field_of(model::Module& model) {
  return field_by(model::as_velocity_model(model, "a noise predictor"), &model::VelocityModel::forward_as_original);
}

bool is_one_step(const model::Module& model) { return dynamic_cast<const model::Bijection*>(&model) != nullptr; }

}  // namespace pathline::sampler

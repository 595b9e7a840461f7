// SPDX-License-Identifier: Apache-2.0
#include "sampler/prompts.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "core/crc32c.h"
#include "core/error.h"
#include "core/log.h"
#include "data/text_columns.h"

namespace pathline::sampler {
namespace {

/// Rows as they come, tokens before the whole, into the two tables.
class Table {
 public:
  Table(const data::TextShape& shape, std::int64_t prompts)
      : tokens_(static_cast<std::size_t>(shape.tokens * shape.width)) {
    prompts_.text = at::empty({prompts + 1, shape.tokens, shape.width}, at::kFloat);
    prompts_.pooled = at::empty({prompts + 1, shape.pooled}, at::kFloat);
  }
  void put(std::int64_t row, std::span<const float> values) {
    const std::size_t pooled = values.size() - tokens_;
    const auto at = static_cast<std::size_t>(row);
    std::ranges::copy(values.first(tokens_), prompts_.text.mutable_data_ptr<float>() + at * tokens_);
    std::ranges::copy(values.subspan(tokens_), prompts_.pooled.mutable_data_ptr<float>() + at * pooled);
  }
  Prompts take() { return std::move(prompts_); }

 private:
  std::size_t tokens_;
  Prompts prompts_;
};

std::uint32_t crc_of(const at::Tensor& values) {
  return core::crc32c({static_cast<const std::byte*>(values.const_data_ptr()), values.nbytes()});
}

class PromptedModel final : public model::VelocityModel {
 public:
  PromptedModel(std::shared_ptr<model::Module> model, Prompts prompts)
      : owned_(std::move(model)),
        model_(model::as_velocity_model(*owned_, "sampling by text")),
        prompts_(std::move(prompts)),
        options_(model_.options()) {
    options_.classes = prompts_.count();
    const at::Device device = model_.parameters().front().tensor.device();
    prompts_ = {prompts_.text.to(device), prompts_.pooled.to(device)};
  }

  const std::vector<model::NamedTensor>& parameters() const override { return model_.parameters(); }
  const std::vector<model::NamedTensor>& buffers() const override { return model_.buffers(); }
  const model::ModelOptions& options() const override { return options_; }
  void set_training(bool training) override { model_.set_training(training); }
  void set_parameter_gate(std::function<void(std::size_t)> gate) override {
    model_.set_parameter_gate(std::move(gate));
  }
  void set_activation_checkpointing(std::int64_t every) override { model_.set_activation_checkpointing(every); }

  at::Tensor velocity(const at::Tensor& x, const at::Tensor& t, const model::Condition& condition) override {
    return model_.velocity(x, t, with_text(condition));
  }
  at::Tensor forward_as_original(const at::Tensor& x, const at::Tensor& t, const model::Condition& condition) override {
    return model_.forward_as_original(x, t, with_text(condition));
  }

 private:
  model::Condition with_text(const model::Condition& asked) const {
    PL_ASSERT(asked.labels.defined());
    model::Condition condition;
    condition.text = prompts_.text.index_select(0, asked.labels);
    condition.pooled = prompts_.pooled.index_select(0, asked.labels);
    return condition;
  }

  std::shared_ptr<model::Module> owned_;
  model::VelocityModel& model_;
  Prompts prompts_;
  model::ModelOptions options_;
};

}  // namespace

std::string Prompts::identity() const {
  const data::TextShape shape{text.size(1), text.size(2), pooled.size(1)};
  return core::concat(count(), " prompts of ", data::described(shape), ", crc32c ", core::crc32c_digits(crc_of(text)),
                      " ", core::crc32c_digits(crc_of(pooled)));
}

Prompts read_prompts(const std::string& path) {
  const data::TextColumns columns = data::TextColumns::open(path);
  Table table(columns.shape(), columns.count());
  std::vector<float> values(columns.shape().values());
  for (std::int64_t i = 0; i < columns.count(); ++i) {
    columns.read(i, values);
    table.put(i, values);
  }
  table.put(columns.count(), *columns.null());
  return table.take();
}

Prompts first_prompts(const data::ShardSource& source, std::int64_t count) {
  const data::SetInfo& info = source.info();
  PL_ASSERT(info.null_text != nullptr);
  const std::int64_t prompts = std::min(count, info.count);
  Table table(info.text, prompts);
  std::vector<float> values(info.text.values());
  for (std::int64_t i = 0; i < prompts; ++i) {
    source.read_text(i, values);
    table.put(i, values);
  }
  table.put(prompts, *info.null_text);
  return table.take();
}

std::unique_ptr<model::VelocityModel> prompted(std::shared_ptr<model::Module> model, Prompts prompts) {
  const model::ModelOptions& options = model->options();
  const std::int64_t width = prompts.text.size(2), pooled = prompts.pooled.size(1), tokens = prompts.text.size(1);
  PL_CHECK(model::takes_text(options), core::ExitCode::kUsage, "prompts were given, but ", options.name,
           " is not conditioned on text. Leave them out.");
  PL_CHECK(width == options.text_width && pooled == options.text_pooled, core::ExitCode::kUsage, "the prompts have ",
           data::described({tokens, width, pooled}), ", but the model was trained on tokens of ", options.text_width,
           " numbers and whole prompts of ", options.text_pooled, ". Encode them with the encoder of its data.");
  if (tokens != options.text_tokens && options.text_tokens > 0) {
    core::log_warning("the prompts have ", tokens, " tokens each; the model was trained on ", options.text_tokens);
  }
  return std::make_unique<PromptedModel>(std::move(model), std::move(prompts));
}

}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
#include "apps/encode/latent_set.h"

#include <span>
#include <vector>

namespace pathline::apps {

LatentSet::LatentSet(const LatentOptions& options, const data::SetInfo& info, const data::ShardSource& source,
                     const std::string& encoding)
    : source_(source),
      scale_(data::parse_latent_scale(options.normalize)),
      moments_(info),
      channels_(info.channels),
      writer_(options.output, info, "pathline data encode") {
  writer_.add_attribute(kEncodingAttribute, encoding);
  if (source.info().null_text) copy_prompts();
}

void LatentSet::add(const sampler::Record& record) {
  writer_.append(record.item, record.label);
  if (!scale_) moments_.add(record.item);
}

std::string LatentSet::finish() {
  const auto channels = static_cast<std::size_t>(channels_);
  if (scale_) {
    writer_.normalise(std::vector(channels, scale_->shift), std::vector(channels, scale_->scale));
  } else {
    std::vector<double> scale = moments_.deviation();
    for (double& number : scale) number = 1 / number;
    writer_.normalise(moments_.mean(), std::move(scale));
  }
  return writer_.finish();
}

void LatentSet::copy_prompts() {
  const data::TextShape& shape = source_.info().text;
  const auto tokens = static_cast<std::size_t>(shape.tokens * shape.width);
  const auto text = writer_.open_floats("text_embeddings", {shape.tokens, shape.width});
  const auto pooled = writer_.open_floats("text_pooled", {shape.pooled});
  std::vector<float> prompt(shape.values());
  for (std::int64_t i = 0; i < source_.info().count; ++i) {
    source_.read_text(i, prompt);
    text(i, std::as_bytes(std::span(prompt).first(tokens)));
    pooled(i, std::as_bytes(std::span(prompt).subspan(tokens)));
  }
  const std::span<const float> null = *source_.info().null_text;
  writer_.add_block("null_text", {shape.tokens, shape.width}, null.first(tokens));
  writer_.add_block("null_pooled", {shape.pooled}, null.subspan(tokens));
}

}  // namespace pathline::apps

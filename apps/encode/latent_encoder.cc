// SPDX-License-Identifier: Apache-2.0
#include "apps/encode/latent_encoder.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/nan_to_num.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <span>

#include "core/error.h"
#include "data/loader.h"

namespace pathline::apps {
namespace {

using core::ExitCode;
using sampler::IdRange;

/// Kind, count and labels of the latents of `pictures`; their shape is the encoder's to say.
data::SetInfo latents_for(const data::SetInfo& pictures, const LatentOptions& options) {
  PL_CHECK(pictures.kind == data::ItemKind::kImage, ExitCode::kInput, options.input, " holds no pictures (",
           pictures.description, "; an encoder takes pictures). Give the set of pictures.");
  data::SetInfo info;
  info.kind = data::ItemKind::kLatent;
  info.count = pictures.count;
  info.classes = pictures.classes;
  info.class_names = pictures.class_names;
  info.latents.flips = options.flips ? 2 : 1;
  info.latents.moments = options.moments ? 2 : 1;
  return info;
}

std::vector<std::byte> bytes_of(const at::Tensor& item) {
  const at::Tensor packed = item.contiguous();
  const auto* begin = static_cast<const std::byte*>(packed.const_data_ptr());
  return {begin, begin + packed.nbytes()};
}

}  // namespace

LatentEncoder::LatentEncoder(const LatentOptions& options, const data::ShardSource& source, at::Device device)
    : options_(options),
      source_(source),
      network_(options.encoder, device),
      info_(latents_for(source.info(), options)) {
  PL_CHECK(options.batch > 0, ExitCode::kUsage, "--batch is ", options.batch, "; it must be at least 1.");
  const at::Tensor first = pictures(items_of(0)), latents = network_.forward(first);
  const std::int64_t moments = info_.latents.moments;
  PL_CHECK(latents.dim() == 4 && latents.is_floating_point() && latents.size(0) == first.size(0) &&
               latents.numel() > 0 && latents.size(1) % moments == 0,
           ExitCode::kInput, "the encoder makes a tensor of shape ", latents.sizes(), " of pictures ", first.sizes(),
           options.moments ? " (with --moments it must give float (B, 2c, h, w), means and log-variances)."
                           : " (it must give float (B, c, h, w)).");
  PL_CHECK(at::equal(latents.nan_to_num(), network_.forward(first).nan_to_num()), ExitCode::kInput, options.encoder,
           " gives other numbers the second time (it seems to draw some, and no set could be made again). Export what "
           "it draws from, mean and log-variance side by side, and give --moments: training then draws.");
  info_.channels = latents.size(1) / moments;
  info_.height = latents.size(2);
  info_.width = latents.size(3);
}

std::int64_t LatentEncoder::batches() const { return (info_.count + options_.batch - 1) / options_.batch; }

IdRange LatentEncoder::items_of(std::int64_t batch) const {
  return {batch * options_.batch, std::min(info_.count, (batch + 1) * options_.batch)};
}

/// fp32 (B, C, H, W) in [-1, 1].
at::Tensor LatentEncoder::pictures(IdRange items) const {
  const data::SetInfo& info = source_.info();
  at::Tensor pictures = at::empty({items.count(), info.channels, info.height, info.width}, at::kFloat);
  const std::span values(pictures.mutable_data_ptr<float>(), static_cast<std::size_t>(pictures.numel()));
  std::vector<std::byte> pixels(info.item_bytes());
  for (std::int64_t i = 0; i < items.count(); ++i) {
    source_.read(items.first + i, pixels);
    data::to_values(info, pixels, /*mirrored=*/false,
                    values.subspan(static_cast<std::size_t>(i) * info.item_values(), info.item_values()));
  }
  return pictures;
}

/// float16 (B, moments * c, h, w).
at::Tensor LatentEncoder::latents_of(const at::Tensor& pictures, IdRange items) const {
  const at::Tensor latents = network_.forward(pictures);
  const std::vector<std::int64_t> wanted = {items.count(), info_.latents.moments * info_.channels, info_.height,
                                            info_.width};
  PL_CHECK(latents.sizes() == at::IntArrayRef(wanted), ExitCode::kInput, "the encoder makes a tensor of shape ",
           latents.sizes(), " where others had ", at::IntArrayRef(wanted), ". All pictures must come out alike.");
  at::Tensor halves = latents.to(at::kHalf);
  const at::Tensor finite = at::isfinite(halves).flatten(1).all(1);
  for (std::int64_t i = 0; i < items.count(); ++i) {
    PL_CHECK(finite[i].item<bool>(), ExitCode::kInput, "the latent of ", source_.name_of(items.first + i),
             " is not finite in float16, which ends at 65504 (training could not use it). Look at the picture and the "
             "encoder.");
  }
  return halves;
}

std::vector<sampler::Record> LatentEncoder::encode(std::int64_t batch) const {
  const IdRange items = items_of(batch);
  const at::Tensor there = pictures(items);
  at::Tensor latents = latents_of(there, items);
  if (options_.flips) latents = at::stack({latents, latents_of(there.flip(3), items)}, 1);
  std::vector<sampler::Record> records;
  for (std::int64_t i = 0; i < items.count(); ++i) {
    sampler::Record record;
    record.id = items.first + i;
    record.label = source_.label(record.id);
    record.item = bytes_of(latents[i]);
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace pathline::apps

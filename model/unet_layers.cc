// SPDX-License-Identifier: Apache-2.0
#include "model/unet_layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/alias.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/upsample_nearest2d.h>

#include <cmath>

#include "model/dropout.h"
#include "model/norm_silu.h"
#include "model/self_attention.h"

namespace pathline::model {
namespace {

at::Tensor doubled(const at::Tensor& x) { return at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)}); }

at::Tensor resampled(const at::Tensor& x, Resample resample) {
  switch (resample) {
    case Resample::kNone:
      return x;
    case Resample::kDown:
      return at::avg_pool2d(x, {2, 2}, {2, 2});
    case Resample::kUp:
      return doubled(x);
  }
  return x;
}

}  // namespace

ResidualBlock::ResidualBlock(ParameterStore& store, const std::string& name, const ModelOptions& options,
                             const Shape& shape)
    : resample_(shape.resample),
      layer_(shape.layer),
      dropout_(options.dropout),
      scale_shift_(options.scale_shift_norm),
      in_norm_(group_norm_layer(store, name + ".in_layers.0", shape.in)),
      in_convolution_(default_convolution(store, name + ".in_layers.2", shape.in, shape.out, 3)),
      embedding_(
          default_linear(store, name + ".emb_layers.1", shape.embedding, scale_shift_ ? 2 * shape.out : shape.out)),
      out_norm_(group_norm_layer(store, name + ".out_layers.0", shape.out)),
      out_convolution_(zero_convolution(store, name + ".out_layers.3", shape.out, shape.out, 3)) {
  if (shape.in != shape.out) skip_ = default_convolution(store, name + ".skip_connection", shape.in, shape.out, 1);
  parameters_ = store.parameters_of(name);
}

at::Tensor ResidualBlock::modulated(const at::Tensor& h, const at::Tensor& embedding) const {
  if (!scale_shift_) return norm_silu(h, embedding, out_norm_);
  const auto halves = embedding.chunk(2, 1);  // scale, shift
  return modulated_norm_silu(h, out_norm_, halves[0], halves[1]);
}

at::Tensor ResidualBlock::operator()(at::TensorList maps, const at::Tensor& input_embedding,
                                     const Condition* dropout) const {
  // The alias is where the two uses of x meet; the block's input has others, on the way up (see recompute.cc).
  const at::Tensor x = maps.size() == 1 ? at::alias(maps[0]) : at::cat(maps, 1);
  at::Tensor h = in_convolution_(resampled(norm_silu(x, {}, in_norm_), resample_));
  h = modulated(h, embedding_(input_embedding));
  if (dropout != nullptr && dropout_ > 0.0) h = keyed_dropout(h, dropout_, *dropout, layer_);
  h = out_convolution_(h);
  const at::Tensor kept = resampled(x, resample_);
  return (skip_ ? (*skip_)(kept) : kept) + h;
}

AttentionBlock::AttentionBlock(ParameterStore& store, const std::string& name, const ModelOptions& options,
                               std::int64_t channels)
    : heads_(options.head_channels > 0 ? channels / options.head_channels : options.heads),
      legacy_(options.attention_order == "legacy"),
      norm_(group_norm_layer(store, name + ".norm", channels)) {
  const Initial law = Initial::uniform(1.0 / std::sqrt(static_cast<double>(channels)));
  qkv_weight_ = store.add(name + ".qkv.weight", {3 * channels, channels, 1}, law);
  qkv_bias_ = store.add(name + ".qkv.bias", {3 * channels}, law);
  projection_weight_ = store.add(name + ".proj_out.weight", {channels, channels, 1}, Initial::zero());
  projection_bias_ = store.add(name + ".proj_out.bias", {channels}, Initial::zero());
  parameters_ = store.parameters_of(name);
}

at::Tensor AttentionBlock::operator()(const at::Tensor& x) const {
  const std::int64_t channels = x.size(1), width = channels / heads_;
  const at::Tensor rows = norm_rows(x, norm_);  // (N, T, C): one product with bias
  // The legacy order of rows (head, q k v, channel) becomes the new one in the weights, which are smaller than qkv.
  const auto ordered = [&](const at::Tensor& by_row, std::int64_t columns) {
    return legacy_ ? by_row.view({heads_, 3, width, columns}).transpose(0, 1).reshape({3 * channels, columns}) : by_row;
  };
  const at::Tensor qkv = at::linear(rows, ordered(qkv_weight_.squeeze(2), channels), ordered(qkv_bias_, 1).flatten());
  const at::Tensor out = at::linear(self_attention(qkv, heads_), projection_weight_.squeeze(2), projection_bias_);
  return x + out.transpose(1, 2).reshape(x.sizes());
}

at::Tensor Resizing::operator()(const at::Tensor& x) const {
  const at::Tensor resized = resampled(x, resample);
  return convolution ? (*convolution)(resized) : resized;
}

}  // namespace pathline::model

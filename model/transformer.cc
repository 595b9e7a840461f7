// SPDX-License-Identifier: Apache-2.0
// DiT, SiT and LightningDiT: a vision transformer whose blocks are modulated by time and label ("adaLN-Zero").
// Peebles and Xie, "Scalable diffusion models with transformers", ICCV 2023; Ma et al., "SiT", ECCV 2024; Yao et al.,
// "Reconstruction vs. generation", CVPR 2025 (RMS norms, SwiGLU, rotated queries and keys).
// Parameter names are those of their published weights. Shapes: N batch, T tokens, D hidden, p patch.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>

#include <cmath>

#include "model/layers.h"
#include "model/network.h"
#include "model/transformer_block.h"

namespace pathline::model {
namespace {

/// 2-D sin-cos table (1, side * side, D): the first half of D encodes the column, the second the row; each half is
/// [sin, cos] of place / 10000^(i / (D/4)). Computed in fp64, then rounded (He et al., "Masked autoencoders", 2022).
at::Tensor position_table(std::int64_t side, std::int64_t hidden) {
  at::Tensor table = at::empty({1, side * side, hidden}, at::kFloat);
  const std::int64_t quarter = hidden / 4;
  float* out = table.mutable_data_ptr<float>();
  for (std::int64_t token = 0; token < side * side; ++token) {
    const double places[2] = {static_cast<double>(token % side), static_cast<double>(token / side)};
    for (const double place : places) {
      for (std::int64_t i = 0; i < quarter; ++i) {
        const double phase = place * (1.0 / std::pow(10000.0, static_cast<double>(i) / static_cast<double>(quarter)));
        out[i] = static_cast<float>(std::sin(phase));
        out[quarter + i] = static_cast<float>(std::cos(phase));
      }
      out += 2 * quarter;
    }
  }
  return table;
}

class Transformer final : public Network {
 public:
  Transformer(const ModelOptions& options, std::optional<std::uint64_t> seed)
      : Network(options, seed), side_(options.input_size / options.patch) {
    const std::int64_t hidden = options.hidden, patch = options.patch;
    const std::int64_t pixels = options.input_channels * patch * patch;
    positions_ = store_.add_buffer("pos_embed", position_table(side_, hidden));
    if (options.rope) {
      const Rotation table = rotation_of(side_, hidden / options.heads);
      rotation_ = {store_.add_buffer("feat_rope.freqs_cos", table.cosine),
                   store_.add_buffer("feat_rope.freqs_sin", table.sine)};
    }
    patch_weight_ = store_.add("x_embedder.proj.weight", {hidden, options.input_channels, patch, patch},
                               Initial::uniform(std::sqrt(6.0 / static_cast<double>(pixels + hidden))));
    patch_bias_ = store_.add("x_embedder.proj.bias", {hidden}, Initial::zero());
    time_.features = 256;
    time_.first = normal_linear(store_, "t_embedder.mlp.0", time_.features, hidden, 0.02);
    time_.second = normal_linear(store_, "t_embedder.mlp.2", hidden, hidden, 0.02);
    if (options.classes > 0) {
      labels_.classes = options.classes;
      labels_.weight = store_.add("y_embedder.embedding_table.weight",
                                  {options.classes + (options.null_row ? 1 : 0), hidden}, Initial::normal(0.02));
    }
    store_.end_group();
    for (std::int64_t i = 0; i < options.depth; ++i) {
      blocks_.emplace_back(store_, "blocks." + std::to_string(i), options);
      store_.end_group();
    }
    final_norm_ = rms_norm_if_asked(store_, "final_layer.norm_final", options);
    final_modulation_ = zero_linear(store_, "final_layer.adaLN_modulation.1", hidden, 2 * hidden);
    final_ = zero_linear(store_, "final_layer.linear", hidden, patch * patch * output_channels());
    store_.end_group();
  }

 private:
  at::Tensor forward(const at::Tensor& image, const at::Tensor& t, const Condition& condition) override {
    await_group(0);
    at::Tensor c = time_(t);  // (N, D)
    if (labels_.weight.defined()) c = c + labels_(condition.labels);
    c = at::silu(c);  // every modulation begins with it
    at::Tensor x = tokens_of(image) + positions_.to(image.scalar_type());
    const Rotation* rotation = options().rope ? &rotation_ : nullptr;
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      await_group(i + 1);
      const TransformerBlock& block = blocks_[i];
      x = run_block(
          i, [&block, rotation](at::TensorList in) { return block(in[0], in[1], rotation); }, {x, c},
          block.parameters());
    }
    await_group(blocks_.size() + 1);
    const auto m = final_modulation_(c).chunk(2, 1);
    return image_of(final_(modulated(final_norm_, x, m[0], m[1]).to(at::kFloat)));  // see Note [Types]
  }

  /// (N, C, H, W) -> (N, T, D). A convolution whose stride is its kernel is one matrix product over patches.
  at::Tensor tokens_of(const at::Tensor& image) const {
    const std::int64_t n = image.size(0), channels = image.size(1), patch = options().patch;
    const at::Tensor patches = image.reshape({n, channels, side_, patch, side_, patch})
                                   .permute({0, 2, 4, 1, 3, 5})
                                   .reshape({n, side_ * side_, channels * patch * patch});
    return at::linear(patches, patch_weight_.flatten(1), patch_bias_);
  }

  /// (N, T, p * p * C) in order row, column, channel -> (N, C, H, W).
  at::Tensor image_of(const at::Tensor& tokens) const {
    const std::int64_t n = tokens.size(0), patch = options().patch, channels = output_channels();
    return tokens.view({n, side_, side_, patch, patch, channels})
        .permute({0, 5, 1, 3, 2, 4})
        .reshape({n, channels, side_ * patch, side_ * patch});
  }

  std::int64_t side_;  // patches along each edge
  at::Tensor positions_, patch_weight_, patch_bias_;
  TimeEmbedding time_;
  LabelTable labels_;
  Rotation rotation_;  // where options().rope
  std::vector<TransformerBlock> blocks_;
  std::optional<RmsNorm> final_norm_;
  Linear final_modulation_, final_;
};

}  // namespace

std::unique_ptr<Network> make_transformer(const ModelOptions& options, std::optional<std::uint64_t> seed) {
  return std::make_unique<Transformer>(options, seed);
}

}  // namespace pathline::model

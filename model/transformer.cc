// SPDX-License-Identifier: Apache-2.0
// DiT, SiT and LightningDiT: a vision transformer whose blocks are modulated by time and label ("adaLN-Zero").
// Peebles and Xie, "Scalable diffusion models with transformers", ICCV 2023; Ma et al., "SiT", ECCV 2024; Yao et al.,
// "Reconstruction vs. generation", CVPR 2025 (RMS norms, SwiGLU, rotated queries and keys).
// Parameter names are those of their published weights. Shapes: N batch, T tokens, D hidden, p patch.
#include <ATen/TensorOperators.h>
#include <ATen/ops/silu.h>

#include "model/layers.h"
#include "model/network.h"
#include "model/patches.h"
#include "model/transformer_block.h"

namespace pathline::model {
namespace {

class Transformer final : public Network {
 public:
  Transformer(const ModelOptions& options, std::optional<std::uint64_t> seed)
      : Network(options, seed), side_(options.input_size / options.patch) {
    const std::int64_t hidden = options.hidden, patch = options.patch;
    positions_ = store_.add_buffer("pos_embed", position_table(side_, hidden));
    if (options.rope) {
      const Rotation table = rotation_of(side_, hidden / options.heads);
      rotation_ = {store_.add_buffer("feat_rope.freqs_cos", table.cosine),
                   store_.add_buffer("feat_rope.freqs_sin", table.sine)};
    }
    patches_ = patch_embedding(store_, "x_embedder.proj", stem_channels(), hidden, patch);
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
    at::Tensor x = patches_(image) + positions_.to(image.scalar_type());
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
    const at::Tensor out = final_(modulated(final_norm_, x, m[0], m[1]).to(at::kFloat));  // see Note [Types]
    return image_of(out, side_, options().patch, output_channels());
  }

  std::int64_t side_;  // patches along each edge
  at::Tensor positions_;
  PatchEmbedding patches_;
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

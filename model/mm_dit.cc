// SPDX-License-Identifier: Apache-2.0
// MM-DiT, the network of Stable Diffusion 3: a transformer with one stream of image tokens and one of text tokens, each
// with weights of its own, which attend together (Esser et al., "Scaling rectified flow transformers for
// high-resolution image synthesis", arXiv 2403.03206, section 4). Parameter names are those of its published weights.
// Shapes: N batch, T image tokens, L text tokens, D hidden.
#include <ATen/TensorOperators.h>
#include <ATen/ops/alias.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/silu.h>

#include "core/error.h"
#include "model/fused.h"
#include "model/layers.h"
#include "model/network.h"
#include "model/patches.h"
#include "model/self_attention.h"

namespace pathline::model {
namespace {

/// The layers of one stream in one block: a DiT block, opened where its tokens attend.
class Stream {
 public:
  /// In the last block nothing is read of the text's stream but what it says to the image's.
  enum class Kind { kWhole, kKeysOnly };

  Stream(ParameterStore& store, const std::string& name, const ModelOptions& options, Kind kind)
      : heads_(options.heads), whole_(kind == Kind::kWhole) {
    const std::int64_t hidden = options.hidden, width = hidden / heads_;
    const auto mlp = static_cast<std::int64_t>(static_cast<double>(hidden) * options.mlp_ratio);
    modulation_ = zero_linear(store, name + ".adaLN_modulation.1", hidden, (whole_ ? 6 : 2) * hidden);
    qkv_ = xavier_linear(store, name + ".attn.qkv", hidden, 3 * hidden);
    if (options.qk_norm) {
      norms_ = {rms_norm_layer(store, name + ".attn.ln_q", width), rms_norm_layer(store, name + ".attn.ln_k", width)};
    }
    if (!whole_) return;
    projection_ = xavier_linear(store, name + ".attn.proj", hidden, hidden);
    widen_ = xavier_linear(store, name + ".mlp.fc1", hidden, mlp);
    narrow_ = xavier_linear(store, name + ".mlp.fc2", mlp, hidden);
  }

  bool whole() const { return whole_; }

  /// c (N, D) -> (N, 6 D): shift, scale, gate of attention; of the MLP. Or (N, 2 D): shift, scale.
  at::Tensor modulation(const at::Tensor& c) const { return modulation_(c); }

  /// What the tokens x (N, T, D) bring to attention: (N, T, 3 D).
  at::Tensor heads_of(const at::Tensor& x, const at::Tensor& modulation) const {
    const std::int64_t hidden = x.size(2);
    const at::Tensor qkv =
        qkv_(modulated_norm(x, modulation.narrow(1, 0, hidden), modulation.narrow(1, hidden, hidden)));
    if (norms_.empty()) return qkv;
    const auto parts = qkv.chunk(3, 2);
    const auto normed = [&](std::size_t which) {
      return norms_[which](parts[which].unflatten(2, {heads_, hidden / heads_})).flatten(2);
    };
    return at::cat({normed(0), normed(1), parts[2]}, 2);
  }

  /// x after attention, whose result for its tokens is `mixed` (N, T, D), and after the MLP. Only of a whole stream.
  at::Tensor finished(const at::Tensor& x, const at::Tensor& mixed, const at::Tensor& modulation) const {
    const std::int64_t hidden = x.size(2);
    const at::Tensor h = gated_residual(x, modulation.narrow(1, 2 * hidden, hidden), projection_(mixed));
    const at::Tensor m = modulation.narrow(1, 3 * hidden, 3 * hidden);
    if (can_fuse(h, hidden / heads_, widen_.weight.size(0))) return fused_mlp(h, m, widen_, narrow_);
    const auto of_mlp = m.chunk(3, 1);
    const at::Tensor out = narrow_(at::gelu(widen_(modulated_norm(h, of_mlp[0], of_mlp[1])), "tanh"));
    return gated_residual(h, of_mlp[2], out);
  }

 private:
  std::int64_t heads_;
  bool whole_;
  Linear modulation_, qkv_;
  std::vector<RmsNorm> norms_;  // of each head's queries and keys; empty: none
  Linear projection_, widen_, narrow_;
};

class JointBlock {
 public:
  JointBlock(ParameterStore& store, const std::string& name, const ModelOptions& options, Stream::Kind text)
      : heads_(options.heads),
        text_(store, name + ".context_block", options, text),
        image_(store, name + ".x_block", options, Stream::Kind::kWhole),
        parameters_(store.parameters_of(name)) {}

  /// both (N, L + T, D), the text's `words` tokens first; c = silu(time + prompt) (N, D). Returns both, or after the
  /// last block the image's (N, T, D).
  at::Tensor operator()(const at::Tensor& both, const at::Tensor& condition, std::int64_t words) const {
    const at::Tensor c = at::alias(condition);  // where its two uses meet (see recompute.cc)
    const std::int64_t tokens = both.size(1) - words;
    const at::Tensor text = both.narrow(1, 0, words).contiguous(), image = both.narrow(1, words, tokens).contiguous();
    const at::Tensor of_text = text_.modulation(c), of_image = image_.modulation(c);
    const at::Tensor qkv = at::cat({text_.heads_of(text, of_text), image_.heads_of(image, of_image)}, 1);
    const at::Tensor mixed = self_attention(qkv, heads_);
    const at::Tensor next = image_.finished(image, mixed.narrow(1, words, tokens), of_image);
    if (!text_.whole()) return next;
    return at::cat({text_.finished(text, mixed.narrow(1, 0, words), of_text), next}, 1);
  }

  const std::vector<at::Tensor>& parameters() const { return parameters_; }

 private:
  std::int64_t heads_;
  Stream text_, image_;
  std::vector<at::Tensor> parameters_;
};

class MmDit final : public Network {
 public:
  MmDit(const ModelOptions& options, std::optional<std::uint64_t> seed)
      : Network(options, seed), side_(options.input_size / options.patch) {
    const std::int64_t hidden = options.hidden;
    table_side_ = options.pos_embed_max_size > 0 ? options.pos_embed_max_size : side_;
    positions_ = store_.add_buffer("pos_embed", position_table(table_side_, hidden));
    patches_ = patch_embedding(store_, "x_embedder.proj", options.input_channels, hidden, options.patch);
    words_ = xavier_linear(store_, "context_embedder", options.text_width, hidden);
    store_.end_group();
    time_.features = 256;
    time_.first = normal_linear(store_, "t_embedder.mlp.0", time_.features, hidden, 0.02);
    time_.second = normal_linear(store_, "t_embedder.mlp.2", hidden, hidden, 0.02);
    prompt_first_ = normal_linear(store_, "y_embedder.mlp.0", options.text_pooled, hidden, 0.02);
    prompt_second_ = normal_linear(store_, "y_embedder.mlp.2", hidden, hidden, 0.02);
    store_.end_group();
    for (std::int64_t i = 0; i < options.depth; ++i) {
      blocks_.emplace_back(store_, "joint_blocks." + std::to_string(i), options,
                           i + 1 < options.depth ? Stream::Kind::kWhole : Stream::Kind::kKeysOnly);
      store_.end_group();
    }
    final_modulation_ = zero_linear(store_, "final_layer.adaLN_modulation.1", hidden, 2 * hidden);
    final_ = zero_linear(store_, "final_layer.linear", hidden, options.patch * options.patch * output_channels());
    store_.end_group();
  }

 private:
  at::Tensor forward(const at::Tensor& image, const at::Tensor& t, const Condition& condition) override {
    check(condition, image.size(0));
    const at::ScalarType type = image.scalar_type();
    const std::int64_t words = condition.text.size(1);
    await_group(0);
    at::Tensor h = at::cat({words_(condition.text.to(type)), patches_(image) + places().to(type)}, 1);
    await_group(1);
    const at::Tensor prompt = prompt_second_(at::silu(prompt_first_(condition.pooled.to(type))));
    const at::Tensor c = at::silu(time_(t) + prompt);  // (N, D); every modulation begins with silu
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      await_group(i + 2);
      const JointBlock& block = blocks_[i];
      h = run_block(
          i, [&block, words](at::TensorList in) { return block(in[0], in[1], words); }, {h, c}, block.parameters());
    }
    await_group(blocks_.size() + 2);
    const auto m = final_modulation_(c).chunk(2, 1);
    const at::Tensor out = final_(modulated_norm(h, m[0], m[1]).to(at::kFloat));  // see Note [Types]
    return image_of(out, side_, options().patch, output_channels());
  }

  void check(const Condition& condition, std::int64_t rows) const {
    const at::Tensor &text = condition.text, &pooled = condition.pooled;
    PL_CHECK(text.defined() && pooled.defined(), core::ExitCode::kUsage, options().name,
             " was asked without text (every prompt's embedding is part of its input). Give encoded prompts.");
    PL_CHECK(text.dim() == 3 && text.size(0) == rows && text.size(2) == options().text_width && pooled.dim() == 2 &&
                 pooled.size(0) == rows && pooled.size(1) == options().text_pooled,
             core::ExitCode::kUsage, options().name, " was given text of shapes ", text.sizes(), " and ",
             pooled.sizes(), " for ", rows, " samples (it takes tokens of ", options().text_width,
             " numbers and whole prompts of ", options().text_pooled,
             "). Encode with the encoder it was trained with.");
  }

  /// (1, T, D): the middle of the table.
  at::Tensor places() const {
    if (table_side_ == side_) return positions_;
    const std::int64_t first = (table_side_ - side_) / 2;
    return positions_.view({1, table_side_, table_side_, -1})
        .narrow(1, first, side_)
        .narrow(2, first, side_)
        .flatten(1, 2);
  }

  std::int64_t side_, table_side_;  // patches along each edge: of the image, of the table of places
  at::Tensor positions_;
  PatchEmbedding patches_;
  Linear words_;
  TimeEmbedding time_;
  Linear prompt_first_, prompt_second_;
  std::vector<JointBlock> blocks_;
  Linear final_modulation_, final_;
};

}  // namespace

std::unique_ptr<Network> make_mm_dit(const ModelOptions& options, std::optional<std::uint64_t> seed) {
  return std::make_unique<MmDit>(options, seed);
}

}  // namespace pathline::model

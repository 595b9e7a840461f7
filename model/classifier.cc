// SPDX-License-Identifier: Apache-2.0
// model.name = "classifier": of points a multilayer perceptron on [x, t]; of images the blocks of a DiT, modulated by
// time alone, whose tokens are averaged before the last layer.
//
// Note [At the noise]: logits are prior + t f(x, t), f the network. At t = 0 a sample tells nothing about its label,
// and what guides, (a'/a) s^2 - s s' times the gradient (1 / t there), stays finite whatever f has learned.
#include "model/classifier.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/silu.h>

#include "core/error.h"
#include "model/activation.h"
#include "model/layers.h"
#include "model/network.h"
#include "model/patches.h"
#include "model/transformer_block.h"

namespace pathline::model {
namespace {

class PointClassifier final : public StoredNetwork<Classifier> {
 public:
  PointClassifier(const ModelOptions& options, std::optional<std::uint64_t> seed)
      : StoredNetwork<Classifier>(options, seed), activation_(parse_activation(options.activation)) {
    std::int64_t in = options.input_channels + 1;
    for (std::int64_t i = 0; i <= options.depth; ++i) {
      const std::int64_t out = i == options.depth ? options.classes : options.hidden;
      layers_.push_back(default_linear(store_, "net." + std::to_string(2 * i), in, out));
      store_.end_group();
      in = out;
    }
    prior_ = store_.add("prior", {options.classes}, Initial::zero());
    store_.end_group();
  }

  /// The first layer and the last are fp32, see Note [Types].
  at::Tensor features(const at::Tensor& x, const at::Tensor& t) override {
    const at::ScalarType type = parameters().front().tensor.scalar_type();
    const at::Tensor time = network_time(parse_time_input(options().time_input), t);
    await_group(0);
    at::Tensor h = layers_.front()(at::cat({x.to(at::kFloat), time.unsqueeze(1)}, 1));
    for (std::size_t i = 1; i + 1 < layers_.size(); ++i) {
      await_group(i);
      h = layers_[i](activated(activation_, h).to(type));
    }
    return activated(activation_, h).to(at::kFloat);
  }

  at::Tensor logits(const at::Tensor& x, const at::Tensor& t) override {
    const at::Tensor h = features(x, t);
    await_group(layers_.size());
    return t.unsqueeze(1) * layers_.back()(h) + prior_.to(at::kFloat);
  }

  void set_activation_checkpointing(std::int64_t every) override {
    PL_CHECK(every == 0, core::ExitCode::kUsage, "train.activation_checkpointing is asked for, but a classifier of ",
             "points has no blocks (its activations are small). Use \"none\".");
  }

 private:
  const Activation activation_;
  std::vector<Linear> layers_;
  at::Tensor prior_;  // (classes), see Note [At the noise]
};

class ImageClassifier final : public StoredNetwork<Classifier> {
 public:
  ImageClassifier(const ModelOptions& options, std::optional<std::uint64_t> seed)
      : StoredNetwork<Classifier>(options, seed) {
    const std::int64_t hidden = options.hidden, side = options.input_size / options.patch;
    positions_ = store_.add_buffer("pos_embed", position_table(side, hidden));
    if (options.rope) {
      const Rotation table = rotation_of(side, hidden / options.heads);
      rotation_ = {store_.add_buffer("feat_rope.freqs_cos", table.cosine),
                   store_.add_buffer("feat_rope.freqs_sin", table.sine)};
    }
    patches_ = patch_embedding(store_, "x_embedder.proj", options.input_channels, hidden, options.patch);
    time_.features = 256;
    time_.first = normal_linear(store_, "t_embedder.mlp.0", time_.features, hidden, 0.02);
    time_.second = normal_linear(store_, "t_embedder.mlp.2", hidden, hidden, 0.02);
    store_.end_group();
    for (std::int64_t i = 0; i < options.depth; ++i) {
      blocks_.emplace_back(store_, "blocks." + std::to_string(i), options);
      store_.end_group();
    }
    norm_ = rms_norm_if_asked(store_, "head.norm", options);
    modulation_ = zero_linear(store_, "head.adaLN_modulation.1", hidden, 2 * hidden);
    head_ = zero_linear(store_, "head.linear", hidden, options.classes);
    prior_ = store_.add("prior", {options.classes}, Initial::zero());
    store_.end_group();
  }

  at::Tensor features(const at::Tensor& image, const at::Tensor& t) override {
    const at::ScalarType type = parameters().front().tensor.scalar_type();
    await_group(0);
    const at::Tensor c = at::silu(time_(network_time(parse_time_input(options().time_input), t)));  // (N, D)
    at::Tensor x = patches_(image.to(type)) + positions_.to(type);
    const Rotation* rotation = options().rope ? &rotation_ : nullptr;
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      await_group(i + 1);
      const TransformerBlock& block = blocks_[i];
      const auto run = [&block, rotation](at::TensorList in) { return block(in[0], in[1], rotation); };
      const bool again = recompute_every_ > 0 && (i + 1) % recompute_every_ == 0;
      x = again ? recomputed(run, {x, c}, block.parameters()) : block(x, c, rotation);
    }
    await_group(blocks_.size() + 1);
    const auto m = modulation_(c).chunk(2, 1);
    return modulated(norm_, x, m[0], m[1]).to(at::kFloat).mean(1);  // over the tokens
  }

  /// The last group, with the head in it, is there when the features are.
  at::Tensor logits(const at::Tensor& image, const at::Tensor& t) override {
    const at::Tensor mean = features(image, t);
    return t.unsqueeze(1) * head_(mean) + prior_.to(at::kFloat);
  }

  void set_activation_checkpointing(std::int64_t every) override {
    PL_ASSERT(every >= 0);
    recompute_every_ = static_cast<std::size_t>(every);
  }

 private:
  at::Tensor positions_;
  PatchEmbedding patches_;
  TimeEmbedding time_;
  Rotation rotation_;  // where options().rope
  std::vector<TransformerBlock> blocks_;
  std::optional<RmsNorm> norm_;
  Linear modulation_, head_;
  at::Tensor prior_;  // (classes), see Note [At the noise]
  std::size_t recompute_every_ = 0;
};

}  // namespace

std::unique_ptr<Classifier> make_classifier(const ModelOptions& options, std::optional<std::uint64_t> seed) {
  if (options.input_size == 0) return std::make_unique<PointClassifier>(options, seed);
  return std::make_unique<ImageClassifier>(options, seed);
}

Classifier& as_classifier(Module& module, const std::string& user) {
  auto* model = dynamic_cast<Classifier*>(&module);
  PL_CHECK(model != nullptr, core::ExitCode::kUsage, user, " needs a classifier (model.name = \"classifier\"), and \"",
           module.options().name, "\" is another kind of network. Choose another model (docs/models.md).");
  return *model;
}

}  // namespace pathline::model

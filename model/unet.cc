// SPDX-License-Identifier: Apache-2.0
// The ADM U-Net of guided-diffusion, torchcfm and flow_matching, in their parameter names: levels of residual blocks on
// the way down (input_blocks), a middle, and the way up (output_blocks) where each block also sees its mirror image.
#include <ATen/TensorOperators.h>
#include <ATen/ops/silu.h>

#include <algorithm>
#include <memory>

#include "model/convolution.h"
#include "model/network.h"
#include "model/norm_silu.h"
#include "model/unet_layers.h"

namespace pathline::model {
namespace {

class Unet final : public Network {
 public:
  Unet(const ModelOptions& options, std::optional<std::uint64_t> seed)
      : Network(options, seed), embedding_(embedding_width(options)) {
    time_.features = embedding_ / 4;
    time_.first = default_linear(store_, "time_embed.0", time_.features, embedding_);
    time_.second = default_linear(store_, "time_embed.2", embedding_, embedding_);
    if (options.classes > 0) add_labels();
    store_.end_group();
    const std::vector<std::int64_t> skipped = add_way_down();
    middle_.emplace_back(block("middle_block.0", channels_, channels_, Resample::kNone));
    middle_.emplace_back(AttentionBlock(store_, "middle_block.1", options, channels_));
    middle_.emplace_back(block("middle_block.2", channels_, channels_, Resample::kNone));
    store_.end_group();
    add_way_up(skipped);
    out_norm_ = group_norm_layer(store_, "out.0", channels_);
    out_convolution_ = zero_convolution(store_, "out.2", channels_, output_channels(), 3);
    store_.end_group();
  }

 private:
  void add_labels() {
    const std::int64_t classes = options().classes;
    labels_.classes = classes;
    labels_.frozen_null = true;
    labels_.weight =
        store_.add("label_emb.weight", {classes + (options().null_row ? 1 : 0), embedding_}, Initial::normal(1.0));
    if (options().null_row && labels_.weight.device().is_cpu()) labels_.weight.detach()[classes].zero_();
  }

  ResidualBlock block(const std::string& name, std::int64_t in, std::int64_t out, Resample resample) {
    return ResidualBlock(store_, name, options(), {in, out, embedding_, resample, next_layer_++});
  }

  bool attends(std::int64_t size) const {
    return std::find(options().attention.begin(), options().attention.end(), size) != options().attention.end();
  }

  /// Returns the channels of every stage's output, which the way up takes back from the end.
  std::vector<std::int64_t> add_way_down() {
    const ModelOptions& o = options();
    channels_ = o.channels * o.multipliers.front();
    size_ = o.input_size;
    way_down_.push_back(
        {PlainConvolution{default_convolution(store_, "input_blocks.0.0", stem_channels(), channels_, 3)}});
    store_.end_group();
    std::vector<std::int64_t> skipped = {channels_};
    for (std::size_t level = 0; level < o.multipliers.size(); ++level) {
      for (std::int64_t i = 0; i < o.blocks; ++i) {
        add_stage_down(o.channels * o.multipliers[level]);
        skipped.push_back(channels_);
      }
      if (level + 1 == o.multipliers.size()) break;
      add_downsampling();
      skipped.push_back(channels_);
    }
    return skipped;
  }

  void add_stage_down(std::int64_t out) {
    const std::string name = "input_blocks." + std::to_string(way_down_.size());
    UnetStage stage;
    stage.emplace_back(block(name + ".0", channels_, out, Resample::kNone));
    if (attends(size_)) stage.emplace_back(AttentionBlock(store_, name + ".1", options(), out));
    way_down_.push_back(std::move(stage));
    store_.end_group();
    channels_ = out;
  }

  void add_downsampling() {
    const std::string name = "input_blocks." + std::to_string(way_down_.size()) + ".0";
    if (options().resblock_updown) {
      way_down_.push_back({block(name, channels_, channels_, Resample::kDown)});
    } else if (options().conv_resample) {
      way_down_.push_back({PlainConvolution{default_convolution(store_, name + ".op", channels_, channels_, 3, 2)}});
    } else {
      way_down_.push_back({Resizing{Resample::kDown, std::nullopt}});
    }
    store_.end_group();
    size_ /= 2;
  }

  void add_way_up(std::vector<std::int64_t> skipped) {
    const ModelOptions& o = options();
    for (std::size_t level = o.multipliers.size(); level-- > 0;) {
      for (std::int64_t i = 0; i <= o.blocks; ++i) {
        const bool upsample = level > 0 && i == o.blocks;
        add_stage_up(channels_ + skipped.back(), o.channels * o.multipliers[level], upsample);
        skipped.pop_back();
      }
    }
  }

  void add_stage_up(std::int64_t in, std::int64_t out, bool upsample) {
    const std::string name = "output_blocks." + std::to_string(way_up_.size()) + ".";
    UnetStage stage;
    stage.emplace_back(block(name + "0", in, out, Resample::kNone));
    if (attends(size_)) stage.emplace_back(AttentionBlock(store_, name + "1", options(), out));
    if (upsample) {
      const std::string last = name + std::to_string(stage.size());
      if (options().resblock_updown) {
        stage.emplace_back(block(last, out, out, Resample::kUp));
      } else if (options().conv_resample) {
        stage.emplace_back(Resizing{Resample::kUp, default_convolution(store_, last + ".conv", out, out, 3)});
      } else {
        stage.emplace_back(Resizing{Resample::kUp, std::nullopt});
      }
      size_ *= 2;
    }
    way_up_.push_back(std::move(stage));
    store_.end_group();
    channels_ = out;
  }

  /// What one forward pass carries beside the feature maps.
  struct Pass {
    at::Tensor embedding;                      // silu(time [+ label]) (N, E)
    std::shared_ptr<const Condition> dropout;  // keys of the masks; null outside training
    std::size_t block = 0;                     // number of the next residual or attention block
  };

  at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const Condition& condition) override {
    std::size_t group = 0;
    await_group(group++);
    at::Tensor embedding = time_(t);  // (N, E)
    if (labels_.weight.defined()) embedding = embedding + labels_(condition.labels);
    Pass pass{at::silu(embedding), training() ? std::make_shared<const Condition>(condition) : nullptr};
    at::Tensor h = is_host_map(x) ? x.contiguous(at::MemoryFormat::ChannelsLast) : x;
    std::vector<at::Tensor> kept;
    for (const UnetStage& stage : way_down_) {
      await_group(group++);
      kept.push_back(h = run(stage, {h}, pass));
    }
    await_group(group++);
    h = run(middle_, {h}, pass);
    for (const UnetStage& stage : way_up_) {
      await_group(group++);
      h = run(stage, {h, kept.back()}, pass);
      kept.pop_back();
    }
    await_group(group);
    return out_convolution_(norm_silu(h.to(at::kFloat), {}, out_norm_)).contiguous();
  }

  /// maps: what the stage's first layer sees.
  at::Tensor run(const UnetStage& stage, std::vector<at::Tensor> maps, Pass& pass) const {
    for (const UnetLayer& layer : stage) {
      maps = {std::visit([&](const auto& each) { return run(each, maps, pass); }, layer)};
    }
    return maps.front();
  }

  at::Tensor run(const PlainConvolution& layer, const std::vector<at::Tensor>& maps, Pass&) const {
    return layer(maps.front());
  }

  at::Tensor run(const Resizing& layer, const std::vector<at::Tensor>& maps, Pass&) const {
    return layer(maps.front());
  }

  at::Tensor run(const ResidualBlock& block, std::vector<at::Tensor> inputs, Pass& pass) const {
    inputs.push_back(pass.embedding);
    return run_block(
        pass.block++,
        [&block, dropout = pass.dropout](at::TensorList in) {
          return block(in.slice(0, in.size() - 1), in.back(), dropout.get());
        },
        inputs, block.parameters());
  }

  at::Tensor run(const AttentionBlock& block, const std::vector<at::Tensor>& maps, Pass& pass) const {
    return run_block(
        pass.block++, [&block](at::TensorList in) { return block(in.front()); }, maps, block.parameters());
  }

  std::int64_t embedding_;        // width E of time and label embeddings
  std::int64_t channels_ = 0;     // while building: of the last feature map
  std::int64_t size_ = 0;         // while building: height of the last feature map
  std::uint32_t next_layer_ = 0;  // while building: number of the next residual block
  TimeEmbedding time_;
  LabelTable labels_;
  std::vector<UnetStage> way_down_, way_up_;
  UnetStage middle_;
  GroupNorm out_norm_;
  Convolution out_convolution_;
};

}  // namespace

std::unique_ptr<Network> make_unet(const ModelOptions& options, std::optional<std::uint64_t> seed) {
  return std::make_unique<Unet>(options, seed);
}

}  // namespace pathline::model

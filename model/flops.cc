// SPDX-License-Identifier: Apache-2.0
#include "model/flops.h"

#include <algorithm>

#include "model/option_checks.h"
#include "model/transformer_block.h"

namespace pathline::model {
namespace {

double linear(std::int64_t in, std::int64_t out, std::int64_t rows = 1) {
  return 2.0 * static_cast<double>(in) * static_cast<double>(out) * static_cast<double>(rows);
}

/// Scores q k^T and their mixture of values, over all heads together.
double attention(std::int64_t tokens, std::int64_t width) { return 2 * linear(tokens, tokens, width); }

Flops of_transformer(const ModelOptions& o) {
  const std::int64_t side = o.input_size / o.patch, tokens = side * side, width = o.hidden;
  const std::int64_t area = o.patch * o.patch, pixels = area * (o.input_channels + known_channels(o)),
                     out = area * o.input_channels * (o.learn_sigma ? 2 : 1);
  const std::int64_t mlp = mlp_width(o), products = o.feed_forward == "swiglu" ? 3 : 2;
  const auto depth = static_cast<double>(o.depth);
  Flops flops;
  flops.linear =
      linear(pixels, width, tokens) + linear(256, width) + linear(width, width) + linear(width, out, tokens) +
      depth * (linear(width, 4 * width, tokens) + static_cast<double>(products) * linear(width, mlp, tokens));
  flops.attention = depth * attention(tokens, width);
  flops.modulation = depth * linear(width, 6 * width) + linear(width, 2 * width);
  return flops;
}

/// The image's stream and the text's, which attend together; of the last block's text only keys and values count on.
Flops of_mm_dit(const ModelOptions& o) {
  const std::int64_t side = o.input_size / o.patch, tokens = side * side, width = o.hidden, words = o.text_tokens;
  const std::int64_t pixels = o.patch * o.patch * o.input_channels, out = pixels * (o.learn_sigma ? 2 : 1);
  const auto mlp = static_cast<std::int64_t>(static_cast<double>(width) * o.mlp_ratio);
  const auto whole = [&](std::int64_t rows) { return linear(width, 4 * width, rows) + 2 * linear(width, mlp, rows); };
  const auto depth = static_cast<double>(o.depth);
  Flops flops;
  flops.linear = linear(pixels, width, tokens) + linear(o.text_width, width, words) + linear(256, width) +
                 linear(o.text_pooled, width) + 2 * linear(width, width) + linear(width, out, tokens) +
                 depth * whole(tokens) + (depth - 1) * whole(words) + linear(width, 3 * width, words);
  flops.attention = depth * attention(tokens + words, width);
  flops.modulation = (2 * depth - 1) * linear(width, 6 * width) + 2 * linear(width, 2 * width);
  return flops;
}

Flops of_mlp(const ModelOptions& o) {
  Flops flops;
  std::int64_t in = o.input_channels + known_channels(o) + 1 + o.classes;
  for (std::int64_t i = 0; i < o.depth; ++i) {
    flops.linear += linear(in, o.hidden);
    in = o.hidden;
  }
  flops.linear += linear(in, o.input_channels * (o.learn_sigma ? 2 : 1));
  return flops;
}

Flops of_classifier(const ModelOptions& o) {
  if (o.input_size > 0) {  // the trunk of a transformer, whose tokens are averaged before the head
    const std::int64_t tokens = (o.input_size / o.patch) * (o.input_size / o.patch);
    Flops flops = of_transformer(o);
    flops.linear += linear(o.hidden, o.classes) - linear(o.hidden, o.patch * o.patch * o.input_channels, tokens);
    return flops;
  }
  Flops flops;
  flops.linear = linear(o.input_channels + 1, o.hidden) +
                 static_cast<double>(o.depth - 1) * linear(o.hidden, o.hidden) + linear(o.hidden, o.classes);
  return flops;
}

/// Both directions of a coupling layer take one pass through its network.
Flops of_couplings(const ModelOptions& o) {
  Flops flops;
  for (std::int64_t number = 0; number < o.couplings; ++number) {
    const std::int64_t edge = o.input_size > 0 && number % 4 >= 2 ? 2 : 1, channels = o.input_channels * edge * edge;
    const std::int64_t kernel = o.input_size > 0 ? 9 : 1, places = o.input_size > 0 ? o.input_size / edge : 1;
    double& sum = o.input_size > 0 ? flops.convolution : flops.linear;
    std::int64_t in = channels + o.classes;
    for (std::int64_t i = 0; i < o.depth; ++i) {
      sum += linear(kernel * in, o.hidden, places * places);
      in = o.hidden;
    }
    sum += linear(kernel * in, 2 * channels, places * places);
  }
  return flops;
}

/// Walks the levels of a U-Net as unet.cc builds them, keeping size and channels of the feature map.
class UnetCount {
 public:
  explicit UnetCount(const ModelOptions& options)
      : o_(options), size_(options.input_size), channels_(options.channels * options.multipliers.front()) {}

  Flops operator()() {
    const std::int64_t embedding = embedding_width(o_);
    flops_.linear += linear(embedding / 4, embedding) + linear(embedding, embedding);
    convolution(o_.input_channels + known_channels(o_), channels_, 3);
    way_down();
    residual(channels_, channels_);
    attend();
    residual(channels_, channels_);
    way_up();
    convolution(channels_, o_.input_channels * (o_.learn_sigma ? 2 : 1), 3);
    return flops_;
  }

 private:
  void way_down() {
    kept_ = {channels_};
    for (std::size_t level = 0; level < o_.multipliers.size(); ++level) {
      for (std::int64_t i = 0; i < o_.blocks; ++i) {
        stage(channels_, o_.channels * o_.multipliers[level]);
        kept_.push_back(channels_);
      }
      if (level + 1 == o_.multipliers.size()) break;
      size_ /= 2;  // a residual block pools before its first convolution, a convolution has stride 2
      resize();
      kept_.push_back(channels_);
    }
  }

  void way_up() {
    for (std::size_t level = o_.multipliers.size(); level-- > 0;) {
      for (std::int64_t i = 0; i <= o_.blocks; ++i) {
        stage(channels_ + kept_.back(), o_.channels * o_.multipliers[level]);
        kept_.pop_back();
      }
      if (level == 0) break;
      size_ *= 2;
      resize();
    }
  }

  void stage(std::int64_t in, std::int64_t out) {
    residual(in, out);
    channels_ = out;
    if (std::find(o_.attention.begin(), o_.attention.end(), size_) != o_.attention.end()) attend();
  }

  void resize() {
    if (o_.resblock_updown)
      residual(channels_, channels_);
    else if (o_.conv_resample)
      convolution(channels_, channels_, 3);
  }

  void residual(std::int64_t in, std::int64_t out) {
    convolution(in, out, 3);
    convolution(out, out, 3);
    if (in != out) convolution(in, out, 1);
    flops_.modulation += linear(embedding_width(o_), o_.scale_shift_norm ? 2 * out : out);
  }

  void attend() {
    const std::int64_t places = size_ * size_;
    flops_.linear += linear(channels_, 4 * channels_, places);
    flops_.attention += attention(places, channels_);
  }

  void convolution(std::int64_t in, std::int64_t out, std::int64_t kernel) {
    flops_.convolution += linear(in * kernel * kernel, out, size_ * size_);
  }

  const ModelOptions& o_;
  std::int64_t size_;      // height of the feature map
  std::int64_t channels_;  // of the feature map
  std::vector<std::int64_t> kept_;
  Flops flops_;
};

}  // namespace

Flops forward_flops(const ModelOptions& options) {
  check_options(options);
  switch (family_of(options.name)) {
    case Family::kTransformer:
      return of_transformer(options);
    case Family::kMmDit:
      return of_mm_dit(options);
    case Family::kUnet:
      return UnetCount(options)();
    case Family::kMlp:
      return of_mlp(options);
    case Family::kCouplings:
      return of_couplings(options);
    case Family::kClassifier:
      return of_classifier(options);
  }
  return {};
}

Flops training_flops(const ModelOptions& options) {
  const Flops forward = forward_flops(options);
  return {3 * forward.linear, 3 * forward.convolution, 3 * forward.attention, 3 * forward.modulation};
}

}  // namespace pathline::model

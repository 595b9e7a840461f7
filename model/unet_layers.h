// SPDX-License-Identifier: Apache-2.0
// The pieces of the ADM U-Net (Dhariwal and Nichol, "Diffusion models beat GANs", 2021). Shapes: N batch, C channels.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "model/layers.h"

namespace pathline::model {

enum class Resample { kNone, kDown, kUp };

/// GroupNorm, SiLU, convolution, twice; the embedding enters between; plus the (projected) input.
/// maps: one or more feature maps (N, Ci, H, W), taken as one along their channels; embedding: silu(time [+ label])
/// (N, E); dropout: keys of the masks, null outside training.
class ResidualBlock {
 public:
  struct Shape {
    std::int64_t in, out, embedding;
    Resample resample = Resample::kNone;
    std::uint32_t layer;  // number among the residual blocks: the key of its dropout
  };
  ResidualBlock(ParameterStore& store, const std::string& name, const ModelOptions& options, const Shape& shape);
  at::Tensor operator()(at::TensorList maps, const at::Tensor& embedding, const Condition* dropout) const;
  const std::vector<at::Tensor>& parameters() const { return parameters_; }

 private:
  /// h (N, C, H, W), embedding (N, C), or (N, 2 C) with scale and shift -> the second convolution's input, before
  /// dropout.
  at::Tensor modulated(const at::Tensor& h, const at::Tensor& embedding) const;

  Resample resample_;
  std::uint32_t layer_;
  double dropout_;
  bool scale_shift_;
  GroupNorm in_norm_;
  Convolution in_convolution_;
  Linear embedding_;
  GroupNorm out_norm_;
  Convolution out_convolution_;
  std::optional<Convolution> skip_;  // where the number of channels changes
  std::vector<at::Tensor> parameters_;
};

/// x + projection(attention over all places). Note the two orders of the 3C rows of qkv: "legacy" has (head, q k v,
/// channel), "new" has (q k v, head, channel); the shapes are the same, mixing them up gives silently wrong images.
class AttentionBlock {
 public:
  AttentionBlock(ParameterStore& store, const std::string& name, const ModelOptions& options, std::int64_t channels);
  at::Tensor operator()(const at::Tensor& x) const;
  const std::vector<at::Tensor>& parameters() const { return parameters_; }

 private:
  std::int64_t heads_;
  bool legacy_;
  GroupNorm norm_;
  at::Tensor qkv_weight_, qkv_bias_;                // (3C, C, 1), (3C)
  at::Tensor projection_weight_, projection_bias_;  // (C, C, 1), (C)
  std::vector<at::Tensor> parameters_;
};

/// A convolution alone: the stem, or with stride 2 the way down.
struct PlainConvolution {
  Convolution convolution;
  at::Tensor operator()(const at::Tensor& x) const { return convolution(x); }
};

/// Means of four places, or each place doubled; then the convolution, where there is one.
struct Resizing {
  Resample resample;
  std::optional<Convolution> convolution;
  at::Tensor operator()(const at::Tensor& x) const;
};

using UnetLayer = std::variant<PlainConvolution, ResidualBlock, AttentionBlock, Resizing>;
using UnetStage = std::vector<UnetLayer>;

}  // namespace pathline::model

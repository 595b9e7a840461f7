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

/// What flows beside the feature maps.
struct UnetContext {
  at::Tensor embedding;  // silu(time [+ label]) (N, E)
  const Condition* condition = nullptr;
  bool training = false;
};

enum class Resample { kNone, kDown, kUp };

/// GroupNorm, SiLU, convolution, twice; the embedding enters between; plus the (projected) input.
class ResidualBlock {
 public:
  struct Shape {
    std::int64_t in, out, embedding;
    Resample resample = Resample::kNone;
    std::uint32_t layer;  // number among the residual blocks: the key of its dropout
  };
  ResidualBlock(ParameterStore& store, const std::string& name, const ModelOptions& options, const Shape& shape);
  at::Tensor operator()(const at::Tensor& x, const UnetContext& context) const;

 private:
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
};

/// x + projection(attention over all places). Note the two orders of the 3C rows of qkv: "legacy" has (head, q k v,
/// channel), "new" has (q k v, head, channel); the shapes are the same, mixing them up gives silently wrong images.
class AttentionBlock {
 public:
  AttentionBlock(ParameterStore& store, const std::string& name, const ModelOptions& options, std::int64_t channels);
  at::Tensor operator()(const at::Tensor& x, const UnetContext& context) const;

 private:
  std::int64_t heads_;
  bool legacy_;
  GroupNorm norm_;
  at::Tensor qkv_weight_, qkv_bias_;                // (3C, C, 1), (3C)
  at::Tensor projection_weight_, projection_bias_;  // (C, C, 1), (C)
};

/// A convolution alone: the stem, or with stride 2 the way down.
struct PlainConvolution {
  Convolution convolution;
  at::Tensor operator()(const at::Tensor& x, const UnetContext&) const { return convolution(x); }
};

/// Each place doubled, then a convolution.
struct Upsampling {
  Convolution convolution;
  at::Tensor operator()(const at::Tensor& x, const UnetContext& context) const;
};

using UnetLayer = std::variant<PlainConvolution, ResidualBlock, AttentionBlock, Upsampling>;
using UnetStage = std::vector<UnetLayer>;

at::Tensor run(const UnetStage& stage, at::Tensor x, const UnetContext& context);

}  // namespace pathline::model

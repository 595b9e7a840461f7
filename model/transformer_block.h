// SPDX-License-Identifier: Apache-2.0
// The block of DiT, SiT and LightningDiT: attention and MLP, each modulated by time and label ("adaLN-Zero").
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/layers.h"
#include "model/model_options.h"

namespace pathline::model {

/// Queries and keys turned by their places in the image: number pairs (2 i, 2 i + 1) of a head by the angle
/// row f_i, those of its second half by column f_i, f_i = 10000^(-4 i / w) (Su et al., "RoFormer", arXiv 2104.09864, on
/// two axes as EVA-02, arXiv 2303.11331).
struct Rotation {
  at::Tensor cosine, sine;  // (T, w), each number of a pair with its own copy; w the width of a head

  /// x (N, heads, T, w), computed in fp32, returned in x's type.
  at::Tensor operator()(const at::Tensor& x) const;
};

/// Of side * side places in heads of `width`, a multiple of 4.
Rotation rotation_of(std::int64_t side, std::int64_t width);

/// Hidden units of a block's MLP.
std::int64_t mlp_width(const ModelOptions& options);

class TransformerBlock {
 public:
  TransformerBlock(ParameterStore& store, const std::string& name, const ModelOptions& options);

  /// x (N, T, D), condition = silu(c) (N, D) -> (N, T, D). `rotation`: where options.rope.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& condition, const Rotation* rotation) const;

  const std::vector<at::Tensor>& parameters() const { return parameters_; }

 private:
  using Norm = std::function<at::Tensor(const at::Tensor&)>;
  struct HeadNorms {
    Norm q, k;
  };
  static std::optional<HeadNorms> head_norms(ParameterStore& store, const std::string& name,
                                             const ModelOptions& options);
  at::Tensor attend(const at::Tensor& x, const at::Tensor& modulation, const Rotation* rotation) const;
  at::Tensor feed(const at::Tensor& x, const at::Tensor& modulation) const;
  at::Tensor attention(const at::Tensor& x, const Rotation* rotation) const;
  at::Tensor mlp(const at::Tensor& x) const;

  std::int64_t heads_;
  bool swiglu_;
  Linear modulation_;
  std::optional<RmsNorm> attention_norm_;  // none: a layer norm without parameters
  Linear qkv_;
  std::optional<HeadNorms> head_norms_;
  Linear projection_;
  std::optional<RmsNorm> mlp_norm_;
  Linear widen_, narrow_;
  std::vector<at::Tensor> parameters_;
};

/// norm(x) (1 + scale) + shift; without `norm` a layer norm without parameters. Shapes as modulated_norm().
at::Tensor modulated(const std::optional<RmsNorm>& norm, const at::Tensor& x, const at::Tensor& shift,
                     const at::Tensor& scale);

/// The norm of that name where options.norm = "rms".
std::optional<RmsNorm> rms_norm_if_asked(ParameterStore& store, const std::string& name, const ModelOptions& options);

}  // namespace pathline::model

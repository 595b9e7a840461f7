// SPDX-License-Identifier: Apache-2.0
// The few layers that all networks here are made of: parameters beside the one ATen call that uses them.
//
// Note [Types]: a layer computes in the type of its input. Where that is not its parameters' own (fp32 islands in a
// bf16 network), they are cast for this one call: a cast that is kept would miss the next update. Norms take their sums
// and apply weight and bias in fp32 for any type.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "model/parameter_store.h"

namespace pathline::model {

/// x (..., in) -> (..., out).
struct Linear {
  at::Tensor weight;  // (out, in)
  at::Tensor bias;    // (out)
  at::Tensor operator()(const at::Tensor& x) const;
};

/// Xavier uniform weight and zero bias, as DiT; or N(0, deviation^2) and zero; or zero.
Linear xavier_linear(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out);
Linear normal_linear(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out,
                     double deviation);
Linear zero_linear(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out);
/// torch.nn.Linear's own law: weight and bias uniform in +-1/sqrt(in).
Linear default_linear(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out);

/// Square kernel, "same" padding: x (N, in, H, W) -> (N, out, H / stride, W / stride).
struct Convolution {
  at::Tensor weight;  // (out, in, k, k)
  at::Tensor bias;    // (out)
  std::int64_t stride = 1;
  at::Tensor operator()(const at::Tensor& x) const;
};

/// torch.nn.Conv2d's own law, or zero.
Convolution default_convolution(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out,
                                std::int64_t kernel, std::int64_t stride = 1);
Convolution zero_convolution(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out,
                             std::int64_t kernel);

/// 32 groups, eps 1e-5: x (N, channels, ...).
struct GroupNorm {
  at::Tensor weight, bias;  // (channels)
  at::Tensor operator()(const at::Tensor& x) const;
};

GroupNorm group_norm_layer(ParameterStore& store, const std::string& name, std::int64_t channels);

/// Over the last dimension, eps 1e-5 (torch.nn.LayerNorm's): x (..., width).
struct LayerNorm {
  at::Tensor weight, bias;  // (width)
  at::Tensor operator()(const at::Tensor& x) const;
};

LayerNorm layer_norm_layer(ParameterStore& store, const std::string& name, std::int64_t width);

/// x / sqrt(mean x^2 + eps) weight over the last dimension, eps 1e-6 (Zhang and Sennrich, arXiv 1910.07467), in fp32
/// for any type: x (..., width).
struct RmsNorm {
  at::Tensor weight;  // (width)
  at::Tensor operator()(const at::Tensor& x) const;
};

RmsNorm rms_norm_layer(ParameterStore& store, const std::string& name, std::int64_t width);

/// labels (N) in [0, classes] -> (N, width). `classes` is the null label: its own row where the table has one, else
/// nothing is added (zero), as torchcfm's table of `classes` rows knows no null.
struct LabelTable {
  at::Tensor weight;  // (classes [+ 1], width)
  std::int64_t classes = 0;
  bool frozen_null = false;  // the null row stays as it is (torch's padding_idx)
  at::Tensor operator()(const at::Tensor& labels) const;
};

/// [cos(t f_i), sin(t f_i)], f_i = 10000^(-i / (width/2)), in fp32: t (N) -> (N, width).
/// GLIDE's features (github.com/openai/glide-text2im, glide_text2im/nn.py), which ADM, DiT and SiT use.
at::Tensor time_features(const at::Tensor& t, std::int64_t width);

/// linear(silu(linear(features))): the time MLP of ADM and DiT.
struct TimeEmbedding {
  std::int64_t features = 0;
  Linear first, second;
  at::Tensor operator()(const at::Tensor& t) const;
};

}  // namespace pathline::model

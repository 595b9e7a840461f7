// SPDX-License-Identifier: Apache-2.0
#include "model/transformer_block.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/stack.h>

#include <cmath>

#include "model/fused.h"

namespace pathline::model {
namespace {

// The names of the originals: timm's Mlp; SwiGLUFFN, which holds gate and value in one matrix.
Linear first_of_mlp(ParameterStore& store, const std::string& name, const ModelOptions& options) {
  const bool swiglu = options.feed_forward == "swiglu";
  return xavier_linear(store, name + (swiglu ? ".mlp.w12" : ".mlp.fc1"), options.hidden,
                       (swiglu ? 2 : 1) * mlp_width(options));
}

Linear second_of_mlp(ParameterStore& store, const std::string& name, const ModelOptions& options) {
  const bool swiglu = options.feed_forward == "swiglu";
  return xavier_linear(store, name + (swiglu ? ".mlp.w3" : ".mlp.fc2"), mlp_width(options), options.hidden);
}

}  // namespace

at::Tensor Rotation::operator()(const at::Tensor& x) const {
  const at::Tensor wide = x.to(at::kFloat);
  const auto pairs = wide.unflatten(-1, {-1, 2}).unbind(-1);
  const at::Tensor turned = at::stack({-pairs[1], pairs[0]}, -1).flatten(-2);
  return (wide * cosine + turned * sine).to(x.scalar_type());
}

Rotation rotation_of(std::int64_t side, std::int64_t width) {
  const std::int64_t quarter = width / 4;
  Rotation rotation{at::empty({side * side, width}, at::kFloat), at::empty({side * side, width}, at::kFloat)};
  float *cosine = rotation.cosine.mutable_data_ptr<float>(), *sine = rotation.sine.mutable_data_ptr<float>();
  for (std::int64_t token = 0; token < side * side; ++token) {
    const double places[2] = {static_cast<double>(token / side), static_cast<double>(token % side)};
    for (const double place : places) {
      for (std::int64_t i = 0; i < quarter; ++i) {
        const double angle = place * std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(quarter));
        for (int copy = 0; copy < 2; ++copy) {
          *cosine++ = static_cast<float>(std::cos(angle));
          *sine++ = static_cast<float>(std::sin(angle));
        }
      }
    }
  }
  return rotation;
}

std::int64_t mlp_width(const ModelOptions& options) {
  const auto wide = static_cast<std::int64_t>(static_cast<double>(options.hidden) * options.mlp_ratio);
  if (options.feed_forward != "swiglu") return wide;
  return static_cast<std::int64_t>(2.0 / 3.0 * static_cast<double>(wide));  // three matrices with the weights of two
}

at::Tensor modulated(const std::optional<RmsNorm>& norm, const at::Tensor& x, const at::Tensor& shift,
                     const at::Tensor& scale) {
  if (!norm) return modulated_norm(x, shift, scale);
  return (*norm)(x) * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1);
}

std::optional<RmsNorm> rms_norm_if_asked(ParameterStore& store, const std::string& name, const ModelOptions& options) {
  if (options.norm != "rms") return std::nullopt;
  return rms_norm_layer(store, name, options.hidden);
}

TransformerBlock::TransformerBlock(ParameterStore& store, const std::string& name, const ModelOptions& options)
    : heads_(options.heads),
      swiglu_(options.feed_forward == "swiglu"),
      modulation_(zero_linear(store, name + ".adaLN_modulation.1", options.hidden, 6 * options.hidden)),
      attention_norm_(rms_norm_if_asked(store, name + ".norm1", options)),
      qkv_(xavier_linear(store, name + ".attn.qkv", options.hidden, 3 * options.hidden)),
      head_norms_(head_norms(store, name + ".attn", options)),
      projection_(xavier_linear(store, name + ".attn.proj", options.hidden, options.hidden)),
      mlp_norm_(rms_norm_if_asked(store, name + ".norm2", options)),
      widen_(first_of_mlp(store, name, options)),
      narrow_(second_of_mlp(store, name, options)),
      parameters_(store.parameters_of(name)) {}

/// Norms of each head's queries and keys (Dehghani et al., "Scaling vision transformers to 22 billion parameters",
/// 2023), in the names of timm's Attention.
std::optional<TransformerBlock::HeadNorms> TransformerBlock::head_norms(ParameterStore& store, const std::string& name,
                                                                        const ModelOptions& options) {
  if (!options.qk_norm) return std::nullopt;
  const auto norm = [&](const std::string& full_name) -> Norm {
    const std::int64_t width = options.hidden / options.heads;
    if (options.norm == "rms") return rms_norm_layer(store, full_name, width);
    return layer_norm_layer(store, full_name, width);
  };
  HeadNorms norms;
  norms.q = norm(name + ".q_norm");
  norms.k = norm(name + ".k_norm");
  return norms;
}

at::Tensor TransformerBlock::operator()(const at::Tensor& x, const at::Tensor& condition,
                                        const Rotation* rotation) const {
  const auto m = modulation_(condition).chunk(2, 1);  // (N, 3 D): shift, scale, gate of attention; of the MLP
  return feed(attend(x, m[0], rotation), m[1]);
}

at::Tensor TransformerBlock::attend(const at::Tensor& x, const at::Tensor& modulation, const Rotation* rotation) const {
  const bool plain = !head_norms_ && !attention_norm_ && rotation == nullptr;
  if (plain && can_fuse(x, x.size(2) / heads_, widen_.weight.size(0))) {
    return fused_attention(x, modulation, qkv_, projection_, heads_);
  }
  const auto m = modulation.chunk(3, 1);
  return gated_residual(x, m[2], attention(modulated(attention_norm_, x, m[0], m[1]), rotation));
}

at::Tensor TransformerBlock::feed(const at::Tensor& x, const at::Tensor& modulation) const {
  const bool plain = !swiglu_ && !mlp_norm_;
  if (plain && can_fuse(x, x.size(2) / heads_, widen_.weight.size(0))) return fused_mlp(x, modulation, widen_, narrow_);
  const auto m = modulation.chunk(3, 1);
  return gated_residual(x, m[2], mlp(modulated(mlp_norm_, x, m[0], m[1])));
}

at::Tensor TransformerBlock::attention(const at::Tensor& x, const Rotation* rotation) const {
  const std::int64_t n = x.size(0), tokens = x.size(1), hidden = x.size(2);
  const auto qkv = qkv_(x).view({n, tokens, 3, heads_, hidden / heads_}).permute({2, 0, 3, 1, 4}).unbind(0);
  at::Tensor q = head_norms_ ? head_norms_->q(qkv[0]) : qkv[0], k = head_norms_ ? head_norms_->k(qkv[1]) : qkv[1];
  if (rotation != nullptr) {
    q = (*rotation)(q);
    k = (*rotation)(k);
  }
  const at::Tensor mixed = at::scaled_dot_product_attention(q, k, qkv[2]);  // (N, heads, T, D / heads)
  return projection_(mixed.transpose(1, 2).reshape({n, tokens, hidden}));
}

at::Tensor TransformerBlock::mlp(const at::Tensor& x) const {
  const at::Tensor wide = widen_(x);
  if (!swiglu_) return narrow_(at::gelu(wide, "tanh"));
  const auto halves = wide.chunk(2, -1);  // gate, value (Shazeer, arXiv 2002.05202)
  return narrow_(at::silu(halves[0]) * halves[1]);
}

}  // namespace pathline::model

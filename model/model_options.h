// SPDX-License-Identifier: Apache-2.0
// The section [model] of a recipe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"

namespace pathline::model {

struct ModelOptions {
  std::string name = "DiT-S/2";     // DiT | SiT | LightningDiT | MMDiT | UNet | MLP | RealNVP with all fields, or by
                                    // size: DiT-{S,B,L,XL}/{2,4,8}, SiT-*, LightningDiT-{B,XL,1p0B,1p6B}/{1,2},
                                    // MMDiT-{15..38}, UNet-cifar10, UNet-flow-matching,
                                    // UNet-flow-matching-cifar10, ADM-{64,128,256,512}
  std::int64_t input_size = 0;      // height = width; from the data set when training; 0 for points
  std::int64_t input_channels = 0;  // from the data set when training; dimension of points
  std::int64_t classes = -1;        // -1: from the data set; 0: unconditional
  std::string time_input = "flow";  // flow | flow-reversed | x1000 | ddpm999 | ddpm999-cosine

  // transformers
  std::int64_t patch = 2, hidden = 384, depth = 12, heads = 6;
  double mlp_ratio = 4.0;
  bool learn_sigma = false;
  bool qk_norm = false;               // each head's queries and keys pass a norm of their own
  std::string norm = "layer";         // layer | rms
  std::string feed_forward = "gelu";  // gelu | swiglu
  bool rope = false;                  // queries and keys are turned by their places

  // MLP and RealNVP
  std::string activation = "selu";  // selu | silu | tanh
  std::int64_t couplings = 8;       // RealNVP: coupling layers

  // U-Nets
  std::int64_t channels = 128;
  std::vector<std::int64_t> multipliers = {1, 2, 2, 2};
  std::int64_t blocks = 2;
  std::vector<std::int64_t> attention = {16};  // sizes of the feature maps that attend
  std::int64_t head_channels = 64;             // 0: `heads` heads
  double dropout = 0.0;
  bool scale_shift_norm = false;
  bool resblock_updown = false;
  bool conv_resample = true;   // where resblock_updown is off: sizes change by convolutions, or without parameters
  std::int64_t embedding = 0;  // width of the time and label embeddings; 0: 4 channels
  std::string attention_order = "legacy";  // legacy | new
  bool null_row = true;                    // the label table has a row for the null label

  // where weights come from
  std::string init;                    // FILE.safetensors or RUN/checkpoints:ema-0.999
  std::string init_missing = "error";  // error | zero

  // MM-DiT: from the data set when training
  std::int64_t text_width = 0, text_pooled = 0;  // numbers of a token's and of a prompt's embedding
  std::int64_t text_tokens = 0;                  // of a prompt
  std::int64_t pos_embed_max_size = 0;           // side of the table of places, of which the middle is used; 0: no more

  bool inpaint = false;  // is shown the known part of a sample and where it is, and leaves it as it is (flow.mask)
};

/// Width of a U-Net's time and label embeddings.
inline std::int64_t embedding_width(const ModelOptions& options) {
  return options.embedding > 0 ? options.embedding : 4 * options.channels;
}

/// Reads [model]; fields given in the recipe override what a sized name sets, except that another size is refused.
/// All keys but init and init_missing are fixed on resume.
void bind(core::Config& recipe, ModelOptions& options);

/// `options` with the fields that its sized name stands for; throws ExitCode::kUsage with the nearest known name.
ModelOptions with_named_fields(const ModelOptions& options);

/// Whether the network is conditioned on text (Condition::text) instead of labels.
bool takes_text(const ModelOptions& options);

/// Channels that an inpainting network sees beside x (Condition::known): C + 1, 2 D for points; else 0.
std::int64_t known_channels(const ModelOptions& options);

/// The section [model] as TOML, without init: what a file of weights says about its network.
std::string model_toml(const ModelOptions& options);

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
#include "model/model_options.h"

#include <map>

#include "core/error.h"
#include "model/option_checks.h"

namespace pathline::model {
namespace {

using core::OnResume;

void set_transformer_size(ModelOptions& options, const std::string& name) {
  struct Size {
    std::int64_t depth, hidden, heads;
  };
  static const std::map<std::string, Size> sizes = {{"S", {12, 384, 6}},      {"B", {12, 768, 12}},
                                                    {"L", {24, 1024, 16}},    {"XL", {28, 1152, 16}},
                                                    {"1p0B", {24, 1536, 24}}, {"1p6B", {28, 1792, 28}}};
  const std::size_t dash = name.find('-'), slash = name.find('/');
  const Size& size = sizes.at(name.substr(dash + 1, slash - dash - 1));
  options.depth = size.depth;
  options.hidden = size.hidden;
  options.heads = size.heads;
  options.patch = std::stoll(name.substr(slash + 1));
  options.mlp_ratio = 4.0;
}

// Esser et al., arXiv 2403.03206, section 5.3: "MMDiT-24" has 24 blocks of 24 heads of 64 numbers.
void set_mm_dit_size(ModelOptions& options, const std::string& name) {
  options.depth = options.heads = std::stoll(name.substr(name.find('-') + 1));
  options.hidden = 64 * options.depth;
  options.patch = 2;
  options.mlp_ratio = 4.0;
}

// torchcfm, examples/images/cifar10/train_cifar10.py. "UNet-flow-matching" has a label row for null besides.
void set_unet_cifar10(ModelOptions& options) {
  options.channels = 128;
  options.multipliers = {1, 2, 2, 2};
  options.blocks = 2;
  options.attention = {16};
  options.heads = 4;
  options.head_channels = 64;
  options.dropout = 0.1;
  options.scale_shift_norm = false;
  options.resblock_updown = false;
  options.attention_order = "legacy";
}

// facebookresearch/flow_matching, examples/image/models/model_configs.py, "cifar10"; dropout 0.3 as its README trains
// it.
void set_unet_flow_matching_cifar10(ModelOptions& options) {
  options.channels = 128;
  options.multipliers = {2, 2, 2};
  options.blocks = 4;
  options.attention = {16};
  options.heads = 1;
  options.head_channels = 0;
  options.dropout = 0.3;
  options.scale_shift_norm = true;
  options.resblock_updown = false;
  options.conv_resample = false;
  options.attention_order = "new";
}

// guided-diffusion, README.md, flags of the ImageNet models. ADM-512 counts its widths in halves of 256 channels.
void set_adm(ModelOptions& options, const std::string& size) {
  struct Size {
    std::int64_t channels;
    std::vector<std::int64_t> multipliers;
    std::int64_t blocks, head_channels, embedding;
  };
  static const std::map<std::string, Size> sizes = {{"64", {192, {1, 2, 3, 4}, 3, 64, 0}},
                                                    {"128", {256, {1, 1, 2, 3, 4}, 2, 0, 0}},
                                                    {"256", {256, {1, 1, 2, 2, 4, 4}, 2, 64, 0}},
                                                    {"512", {128, {1, 2, 2, 4, 4, 8, 8}, 2, 64, 1024}}};
  const Size& of = sizes.at(size);
  options.channels = of.channels;
  options.multipliers = of.multipliers;
  options.blocks = of.blocks;
  options.attention = {32, 16, 8};
  options.heads = 4;  // where a head's width is not given
  options.head_channels = of.head_channels;
  options.embedding = of.embedding;
  options.dropout = size == "64" ? 0.1 : 0.0;
  options.scale_shift_norm = true;
  options.resblock_updown = true;
  options.attention_order = size == "64" ? "new" : "legacy";
}

// hustvl/LightningDiT, configs/lightningdit_xl_vavae_f16d32.yaml.
void set_lightning(ModelOptions& options) {
  options.norm = "rms";
  options.feed_forward = "swiglu";
  options.rope = true;
}

/// Fields that a name without a size starts from.
void set_defaults_of(ModelOptions& options) {
  if (options.name == "LightningDiT") set_lightning(options);
  if (options.name == "MLP") {  // torchcfm's
    options.hidden = 64;
    options.depth = 3;
  }
  if (options.name == "classifier") {
    options.hidden = 128;
    options.depth = 4;
    options.heads = 4;
    options.patch = 4;
    options.activation = "silu";
  }
  if (options.name == "RealNVP") {
    options.hidden = 64;
    options.depth = 2;
    options.activation = "silu";
  }
  if (options.name.starts_with("MMDiT")) options.classes = 0;  // text stands for labels
}

}  // namespace

ModelOptions with_named_fields(const ModelOptions& options) {
  ModelOptions named = options;
  const Family family = family_of(options.name);
  if (family == Family::kTransformer && options.name.find('/') != std::string::npos) {
    set_transformer_size(named, options.name);
    if (options.name.starts_with("LightningDiT")) set_lightning(named);
  } else if (family == Family::kMmDit && options.name != "MMDiT") {
    set_mm_dit_size(named, options.name);
  } else if (options.name == "UNet-cifar10" || options.name == "UNet-flow-matching") {
    set_unet_cifar10(named);
    named.null_row = options.name == "UNet-flow-matching";
  } else if (options.name == "UNet-flow-matching-cifar10") {
    set_unet_flow_matching_cifar10(named);
  } else if (options.name.starts_with("ADM-")) {
    family_of(options.name);  // knows the sizes
    set_adm(named, options.name.substr(4));
    named.null_row = false;
  }
  return named;
}

void bind(core::Config& recipe, ModelOptions& options) {
  const auto field = [&](const char* key, auto& value, const char* comment, OnResume on_resume = OnResume::kFixed) {
    recipe.bind("model", key, value, on_resume, comment);
  };
  field("name", options.name,
        "DiT | SiT | LightningDiT | MMDiT | UNet | MLP | RealNVP | classifier with the fields below, or by size: "
        "DiT-{S,B,L,XL}/{2,4,8}, SiT-*, LightningDiT-{B,XL,1p0B,1p6B}/{1,2}, MMDiT-{15..38}, UNet-cifar10, "
        "UNet-flow-matching, UNet-flow-matching-cifar10, ADM-{64,128,256,512}");
  if (recipe.has("model", "name")) {
    set_defaults_of(options);
    options = with_named_fields(options);
  }
  field("input_size", options.input_size, "height = width; 0: from the data set (or points)");
  field("input_channels", options.input_channels, "0: from the data set; dimension of points");
  field("classes", options.classes, "-1: from the data set; 0: unconditional");
  field("time_input", options.time_input,
        "what the network is fed as time: flow | flow-reversed | x1000 | ddpm999 | ddpm999-cosine");
  field("patch", options.patch, "transformers: edge of a patch, pixels");
  field("hidden", options.hidden, "transformers, MLP, RealNVP, classifier: width");
  field("depth", options.depth, "transformers and classifier: blocks; MLP and each coupling of RealNVP: hidden layers");
  field("heads", options.heads, "attention heads (U-Nets: where head_channels is 0)");
  field("mlp_ratio", options.mlp_ratio, "transformers: width of the MLP over hidden");
  field("learn_sigma", options.learn_sigma, "twice the output channels; the second half is not the velocity");
  field("qk_norm", options.qk_norm, "transformers: norms of each head's queries and keys");
  field("norm", options.norm, "transformers: layer | rms (with a weight; LightningDiT's)");
  field("feed_forward", options.feed_forward, "transformers: gelu | swiglu (LightningDiT's), the MLP of a block");
  field("rope", options.rope, "transformers: queries and keys turned by their places (LightningDiT's)");
  field("activation", options.activation, "MLP, RealNVP, classifier of points: selu | silu | tanh, between layers");
  field("couplings", options.couplings, "RealNVP: coupling layers");
  field("channels", options.channels, "U-Nets: base width, a multiple of 32");
  field("multipliers", options.multipliers, "U-Nets: width of each level over channels");
  field("blocks", options.blocks, "U-Nets: residual blocks a level");
  field("attention", options.attention, "U-Nets: sizes of the feature maps that attend, pixels");
  field("head_channels", options.head_channels, "U-Nets: channels a head; 0: `heads` heads");
  field("dropout", options.dropout, "U-Nets: probability, in training");
  field("scale_shift_norm", options.scale_shift_norm, "U-Nets: time scales and shifts instead of being added");
  field("resblock_updown", options.resblock_updown, "U-Nets: residual blocks change the size instead of convolutions");
  field("conv_resample", options.conv_resample, "U-Nets without resblock_updown: convolutions change the size");
  field("embedding", options.embedding, "U-Nets: width of the time and label embeddings; 0: 4 channels");
  field("attention_order", options.attention_order, "U-Nets: legacy | new, order of heads and q, k, v in the weights");
  field("null_row", options.null_row, "the label table has a row for the null label");
  field("init", options.init, "FILE.safetensors or RUN/checkpoints:ema-0.999; empty: new weights", OnResume::kFree);
  field("init_missing", options.init_missing, "error | zero, for new label rows and input channels", OnResume::kFree);
  field("text_width", options.text_width, "MMDiT: numbers of a token's embedding; 0: from the data set");
  field("text_pooled", options.text_pooled, "MMDiT: numbers of a whole prompt's embedding; 0: from the data set");
  field("text_tokens", options.text_tokens, "MMDiT: tokens of a prompt; 0: from the data set");
  field("pos_embed_max_size", options.pos_embed_max_size,
        "MMDiT: side of the table of places in patches, of which the middle is used (SD3: 192); 0: input_size / patch");
  field("inpaint", options.inpaint, "is shown what is known of a sample: set by flow.mask");
  check_size_of_name(options);
}

bool takes_text(const ModelOptions& options) { return family_of(options.name) == Family::kMmDit; }

std::int64_t known_channels(const ModelOptions& options) {
  if (!options.inpaint) return 0;
  return options.input_size > 0 ? options.input_channels + 1 : 2 * options.input_channels;
}

std::string model_toml(const ModelOptions& options) {
  ModelOptions copy = options;
  copy.init.clear();
  core::Config recipe = core::Config::from_text("", "model");
  bind(recipe, copy);
  return recipe.dump();
}

}  // namespace pathline::model

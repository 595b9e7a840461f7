// SPDX-License-Identifier: Apache-2.0
#include "model/option_checks.h"

#include <algorithm>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "model/activation.h"
#include "model/time_input.h"

namespace pathline::model {
namespace {

using core::ExitCode;

template <class Value>
void check_positive(const char* key, Value value) {
  PL_CHECK(value > 0, ExitCode::kUsage, "model.", key, " is ", value, " (the network would have no ", key,
           "). Give a positive number", value == 0 ? ", or a data set to take it from." : ".");
}

void check_transformer(const ModelOptions& o) {
  check_positive("input_size", o.input_size);
  check_positive("patch", o.patch);
  check_positive("hidden", o.hidden);
  check_positive("depth", o.depth);
  check_positive("heads", o.heads);
  PL_CHECK(o.hidden % o.heads == 0, ExitCode::kUsage, "model.hidden = ", o.hidden,
           " is not a multiple of model.heads = ", o.heads, " (each head takes an equal share). Change one of them.");
  PL_CHECK(o.hidden % 4 == 0, ExitCode::kUsage, "model.hidden = ", o.hidden,
           " is not a multiple of 4 (places are encoded as sine and cosine of row and column). Round it up.");
  PL_CHECK(o.input_size % o.patch == 0, ExitCode::kUsage, "model.input_size = ", o.input_size,
           " is not a multiple of model.patch = ", o.patch, " (patches would not cover the image). Change one.");
  PL_CHECK(o.mlp_ratio * static_cast<double>(o.hidden) >= 1.0, ExitCode::kUsage, "model.mlp_ratio is ", o.mlp_ratio,
           " (the MLP would have no units). The usual value is 4.");
  PL_CHECK(o.norm == "layer" || o.norm == "rms", ExitCode::kUsage, "model.norm is \"", o.norm,
           "\" (it says how tokens are normalised). Known: layer and rms.");
  PL_CHECK(o.feed_forward == "gelu" || o.feed_forward == "swiglu", ExitCode::kUsage, "model.feed_forward is \"",
           o.feed_forward, "\" (it says what a block's MLP is). Known: gelu and swiglu.");
  PL_CHECK(
      !o.rope || o.hidden / o.heads % 4 == 0, ExitCode::kUsage, "model.rope with heads ", o.hidden / o.heads,
      " wide (pairs of numbers are turned, half of them by the row and half by the column). Give a multiple of 4.");
}

void check_mm_dit(const ModelOptions& o) {
  check_transformer(o);
  check_positive("text_width", o.text_width);
  check_positive("text_pooled", o.text_pooled);
  PL_CHECK(o.classes == 0, ExitCode::kUsage, "model.classes = ", o.classes, " for ", o.name,
           " (it is conditioned on text, not on labels). Leave it away.");
  PL_CHECK(o.text_tokens >= 0, ExitCode::kUsage, "model.text_tokens is ", o.text_tokens,
           " (it is the number of tokens of a prompt). Leave it away to take it from the data set.");
  const std::int64_t side = o.input_size / o.patch;
  PL_CHECK(o.pos_embed_max_size == 0 || o.pos_embed_max_size >= side, ExitCode::kUsage,
           "model.pos_embed_max_size = ", o.pos_embed_max_size, ", but the image has ", side,
           " patches along each edge (each has its place in the table). Give at least ", side, ", or 0.");
}

void check_attention(const ModelOptions& o, std::int64_t channels) {
  const std::int64_t parts = o.head_channels > 0 ? o.head_channels : o.heads;
  PL_CHECK(parts > 0 && channels % parts == 0, ExitCode::kUsage, "attention on ", channels, " channels with model.",
           o.head_channels > 0 ? "head_channels" : "heads", " = ", parts,
           " is not possible (each head takes an equal share). Choose a divisor of ", channels, ".");
}

void check_unet(const ModelOptions& o) {
  check_positive("input_size", o.input_size);
  check_positive("channels", o.channels);
  check_positive("blocks", o.blocks);
  PL_CHECK(!o.multipliers.empty(), ExitCode::kUsage,
           "model.multipliers is empty (the U-Net would have no level). The usual value is [1, 2, 2, 2].");
  PL_CHECK(o.channels % 32 == 0, ExitCode::kUsage, "model.channels = ", o.channels,
           " is not a multiple of 32 (normalisation works on 32 groups of channels). Round it up.");
  const std::int64_t shrink = std::int64_t{1} << (o.multipliers.size() - 1);
  PL_CHECK(o.input_size % shrink == 0, ExitCode::kUsage, "model.input_size = ", o.input_size, " cannot be halved ",
           o.multipliers.size() - 1, " times (each entry of model.multipliers but the first halves the feature maps). ",
           "Give fewer multipliers or another size.");
  PL_CHECK(o.embedding >= 0 && o.embedding % 8 == 0, ExitCode::kUsage, "model.embedding is ", o.embedding,
           " (a quarter of it are sines and cosines of the time). Give a multiple of 8, or 0 for 4 channels.");
  PL_CHECK(o.dropout >= 0.0 && o.dropout < 1.0, ExitCode::kUsage, "model.dropout is ", o.dropout,
           " (a probability below 1 is needed). The usual value is 0.1.");
  PL_CHECK(o.attention_order == "legacy" || o.attention_order == "new", ExitCode::kUsage, "model.attention_order is \"",
           o.attention_order, "\" (it says how q, k and v lie in the weights). Known: legacy and new.");
  std::vector<std::int64_t> unused = o.attention;
  std::int64_t size = o.input_size;
  for (const std::int64_t multiplier : o.multipliers) {
    check_positive("multipliers", multiplier);
    if (std::erase(unused, size) > 0) check_attention(o, o.channels * multiplier);
    size /= 2;
  }
  check_attention(o, o.channels * o.multipliers.back());  // the middle always attends
  for (const std::int64_t missing : unused) {
    core::log_warning("model.attention names feature maps of size ", missing, ", but none has it: an input of ",
                      o.input_size, " is halved ", o.multipliers.size() - 1, " times. Nothing attends there.");
  }
}

void check_couplings(const ModelOptions& o) {
  check_positive("hidden", o.hidden);
  check_positive("depth", o.depth);
  check_positive("couplings", o.couplings);
  PL_CHECK(!o.learn_sigma, ExitCode::kUsage, "model.learn_sigma is set for ", o.name,
           " (a bijection has as many outputs as inputs). Leave it away.");
  PL_CHECK(o.input_size > 0 || o.input_channels > 1, ExitCode::kUsage, "model.name = \"", o.name,
           "\" on points of one coordinate: a coupling layer changes some coordinates by the others, and there are no "
           "others. Use name = \"MLP\" with flow.objective = \"nll-cnf\".");
  PL_CHECK(o.input_size % 2 == 0, ExitCode::kUsage, "model.input_size = ", o.input_size, " is odd, and ", o.name,
           " takes places in squares of 2 x 2. Give another size.");
}

void check_classifier(const ModelOptions& o) {
  check_positive("hidden", o.hidden);
  check_positive("depth", o.depth);
  PL_CHECK(o.classes > 0, ExitCode::kUsage, "model.name = \"classifier\" with model.classes = ", o.classes,
           " (labels are what it learns). Use data with labels, and leave the key away.");
  PL_CHECK(!o.learn_sigma, ExitCode::kUsage,
           "model.learn_sigma is set for a classifier (its outputs are the classes). ", "Leave it away.");
  if (o.input_size > 0) check_transformer(o);
}

bool has_tokens(Family family, const ModelOptions& o) {
  return family == Family::kTransformer || (family == Family::kClassifier && o.input_size > 0);
}

}  // namespace

std::vector<std::string> known_names() {
  std::vector<std::string> names = {"DiT",
                                    "SiT",
                                    "LightningDiT",
                                    "MMDiT",
                                    "UNet",
                                    "MLP",
                                    "RealNVP",
                                    "classifier",
                                    "UNet-cifar10",
                                    "UNet-flow-matching",
                                    "UNet-flow-matching-cifar10"};
  for (const std::string size : {"64", "128", "256", "512"}) names.push_back("ADM-" + size);
  for (const std::string kind : {"DiT-", "SiT-"}) {
    for (const std::string size : {"S", "B", "L", "XL"}) {
      for (const std::string patch : {"/2", "/4", "/8"}) names.push_back(kind + size + patch);
    }
  }
  for (const std::string size : {"B", "XL", "1p0B", "1p6B"}) {
    for (const std::string patch : {"/1", "/2"}) names.push_back("LightningDiT-" + size + patch);
  }
  for (int depth = 15; depth <= 38; ++depth) names.push_back("MMDiT-" + std::to_string(depth));
  return names;
}

Family family_of(const std::string& name) {
  const std::vector<std::string> names = known_names();
  PL_CHECK(std::find(names.begin(), names.end(), name) != names.end(), ExitCode::kUsage, "model.name is \"", name,
           "\", which is not known (it says which network to build). Did you mean \"", core::nearest_name(name, names),
           "\"? Known: ", core::listed(names), ".");
  if (name == "MLP") return Family::kMlp;
  if (name == "RealNVP") return Family::kCouplings;
  if (name.starts_with("MMDiT")) return Family::kMmDit;
  if (name == "classifier") return Family::kClassifier;
  return name.starts_with("UNet") || name.starts_with("ADM") ? Family::kUnet : Family::kTransformer;
}

void check_size_of_name(const ModelOptions& options) {
  const ModelOptions named = with_named_fields(options);
  const auto check = [&](const char* key, std::int64_t is, std::int64_t should) {
    const std::string family = options.name.substr(0, options.name.find('-'));
    PL_CHECK(is == should, ExitCode::kUsage, "model.", key, " is ", is, ", but ", options.name, " has ", should,
             " (a sized name stands for one size). Use name = \"", family == "ADM" ? "UNet" : family,
             "\" and give all fields.");
  };
  check("patch", options.patch, named.patch);
  check("hidden", options.hidden, named.hidden);
  check("depth", options.depth, named.depth);
  check("heads", options.heads, named.heads);
  check("channels", options.channels, named.channels);
  check("embedding", options.embedding, named.embedding);
  check("blocks", options.blocks, named.blocks);
  PL_CHECK(options.multipliers == named.multipliers, ExitCode::kUsage, "model.multipliers differ from those of ",
           options.name, " (a sized name stands for one size). Use name = \"UNet\" and give all fields.");
}

void check_options(const ModelOptions& options) {
  const Family family = family_of(options.name);
  check_size_of_name(options);
  parse_time_input(options.time_input);
  check_positive("input_channels", options.input_channels);
  PL_CHECK(options.classes >= 0, ExitCode::kUsage, "model.classes is ", options.classes,
           " (the number of labels must be known to build the network). Give it, or a data set to take it from; 0 is "
           "unconditional.");
  const ModelOptions plain;
  const bool of_blocks = options.rope || options.norm != plain.norm || options.feed_forward != plain.feed_forward;
  PL_CHECK(!of_blocks || has_tokens(family, options), ExitCode::kUsage,
           "model.norm, feed_forward and rope are fields of DiT, SiT, LightningDiT and classifiers of images, and ",
           options.name, " is none of them. Leave them away.");
  PL_CHECK(!options.qk_norm || has_tokens(family, options) || family == Family::kMmDit, ExitCode::kUsage,
           "model.qk_norm is set for ", options.name,
           " (only transformers normalise queries and keys). Leave it away.");
  const bool velocity = family == Family::kTransformer || family == Family::kUnet || family == Family::kMlp;
  PL_CHECK(!options.inpaint || velocity, ExitCode::kUsage, "flow.mask with model.name = \"", options.name,
           "\" (transformers, U-Nets and MLPs can be shown what is known of a sample). Use another network.");
  parse_activation(options.activation);
  PL_CHECK(options.activation == "selu" || family == Family::kMlp || family == Family::kCouplings ||
               family == Family::kClassifier,
           ExitCode::kUsage, "model.activation = \"", options.activation, "\" for ", options.name,
           " (its activations are part of the name). Leave it away.");
  PL_CHECK(family == Family::kMmDit || options.text_width + options.text_pooled + options.pos_embed_max_size == 0,
           ExitCode::kUsage, "model.text_width, text_pooled or pos_embed_max_size is set for ", options.name,
           " (only MMDiT is conditioned on text). Leave them away.");
  switch (family) {
    case Family::kTransformer:
      return check_transformer(options);
    case Family::kMmDit:
      return check_mm_dit(options);
    case Family::kUnet:
      return check_unet(options);
    case Family::kMlp:
      check_positive("hidden", options.hidden);
      return check_positive("depth", options.depth);
    case Family::kCouplings:
      return check_couplings(options);
    case Family::kClassifier:
      return check_classifier(options);
  }
}

}  // namespace pathline::model

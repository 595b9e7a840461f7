// SPDX-License-Identifier: Apache-2.0
// Small networks for the tests, and weights by a formula that scripts/model_parity.py computes too.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/random.h"
#include "model/velocity_model.h"

namespace pathline::tests {

inline model::ModelOptions tiny_transformer() {
  model::ModelOptions options;
  options.name = "SiT";
  options.input_size = 8;
  options.input_channels = 3;
  options.classes = 4;
  options.patch = 2;
  options.hidden = 32;
  options.depth = 2;
  options.heads = 2;
  return options;
}

inline model::ModelOptions tiny_unet() {
  model::ModelOptions options;
  options.name = "UNet";
  options.input_size = 8;
  options.input_channels = 3;
  options.classes = 4;
  options.channels = 32;
  options.multipliers = {1, 2};
  options.blocks = 1;
  options.attention = {4};
  options.head_channels = 0;
  options.heads = 2;
  options.null_row = false;
  return options;
}

/// The shapes of golden/mm_dit.npz.
inline model::ModelOptions tiny_mm_dit() {
  model::ModelOptions options;
  options.name = "MMDiT";
  options.input_size = 8;
  options.input_channels = 3;
  options.classes = 0;
  options.patch = 2;
  options.hidden = 128;
  options.depth = 2;
  options.heads = 2;
  options.text_tokens = 5;
  options.text_width = 24;
  options.text_pooled = 20;
  options.pos_embed_max_size = 6;
  return options;
}

inline at::Tensor times_of(const std::vector<float>& times) {
  at::Tensor t = at::empty({static_cast<std::int64_t>(times.size())}, at::kFloat);
  std::copy(times.begin(), times.end(), t.mutable_data_ptr<float>());
  return t;
}

/// Standard normal numbers, another set for each index.
inline at::Tensor noise(std::vector<std::int64_t> shape, std::uint64_t index) {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  core::Draws(5, index, core::Purpose::kMadeData)
      .fill_normal({tensor.mutable_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())});
  return tensor;
}

struct Inputs {
  at::Tensor x, t;
  model::Condition condition;
};

/// A batch for tiny_transformer(), tiny_unet() and tiny_mm_dit().
inline Inputs four_rows() {
  Inputs inputs{noise({4, 3, 8, 8}, 1), times_of({0.1f, 0.5f, 0.9f, 0.3f}), {}};
  inputs.condition.labels = at::empty({4}, at::kLong);
  for (std::int64_t i = 0; i < 4; ++i) inputs.condition.labels.mutable_data_ptr<std::int64_t>()[i] = i;
  inputs.condition.seed = 11;
  inputs.condition.positions = {100, 101, 102, 103};
  inputs.condition.text = noise({4, 5, 24}, 2);
  inputs.condition.pooled = noise({4, 20}, 3);
  return inputs;
}

/// Element i of tensor `name`: splitmix64 of (hash of the name + i steps), as a uniform number in [-1/4, 1/4).
inline float formula_weight(const std::string& name, std::uint64_t i) {
  std::uint64_t z = core::hash_name(name) + i * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z = z ^ (z >> 31);
  return static_cast<float>((static_cast<double>(z >> 40) * 0x1p-24 - 0.5) * 0.5);
}

inline void set_formula_weights(model::Module& network) {
  for (const model::NamedTensor& parameter : network.parameters()) {
    float* values = parameter.tensor.detach().mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < parameter.tensor.numel(); ++i) values[i] = formula_weight(parameter.name, i);
  }
}

}  // namespace pathline::tests

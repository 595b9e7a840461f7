// SPDX-License-Identifier: Apache-2.0
// Images as tokens and back, for the transformers. Shapes: N batch, T = side * side tokens, D hidden, p patch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "model/parameter_store.h"

namespace pathline::model {

/// 2-D sin-cos table (1, side * side, D): the first half of D encodes the column, the second the row; each half is
/// [sin, cos] of place / 10000^(i / (D/4)). Computed in fp64, then rounded (He et al., "Masked autoencoders", 2022).
at::Tensor position_table(std::int64_t side, std::int64_t hidden);

/// (N, C, H, W) -> (N, T, D), rows of patches first. A convolution whose stride is its kernel is one matrix product
/// over patches.
struct PatchEmbedding {
  at::Tensor weight;  // (D, C, p, p)
  at::Tensor bias;    // (D)
  at::Tensor operator()(const at::Tensor& image) const;
};

/// Xavier uniform over all pixels of a patch, and zero.
PatchEmbedding patch_embedding(ParameterStore& store, const std::string& name, std::int64_t channels,
                               std::int64_t hidden, std::int64_t patch);

/// (N, T, p * p * C) in order row, column, channel -> (N, C, H, W).
at::Tensor image_of(const at::Tensor& tokens, std::int64_t side, std::int64_t patch, std::int64_t channels);

}  // namespace pathline::model

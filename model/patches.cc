// SPDX-License-Identifier: Apache-2.0
#include "model/patches.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include <cmath>

namespace pathline::model {

at::Tensor position_table(std::int64_t side, std::int64_t hidden) {
  at::Tensor table = at::empty({1, side * side, hidden}, at::kFloat);
  const std::int64_t quarter = hidden / 4;
  float* out = table.mutable_data_ptr<float>();
  for (std::int64_t token = 0; token < side * side; ++token) {
    const double places[2] = {static_cast<double>(token % side), static_cast<double>(token / side)};
    for (const double place : places) {
      for (std::int64_t i = 0; i < quarter; ++i) {
        const double phase = place * (1.0 / std::pow(10000.0, static_cast<double>(i) / static_cast<double>(quarter)));
        out[i] = static_cast<float>(std::sin(phase));
        out[quarter + i] = static_cast<float>(std::cos(phase));
      }
      out += 2 * quarter;
    }
  }
  return table;
}

at::Tensor PatchEmbedding::operator()(const at::Tensor& image) const {
  const std::int64_t n = image.size(0), channels = weight.size(1), patch = weight.size(2);
  const std::int64_t rows = image.size(2) / patch, columns = image.size(3) / patch;
  const at::Tensor patches = image.reshape({n, channels, rows, patch, columns, patch})
                                 .permute({0, 2, 4, 1, 3, 5})
                                 .reshape({n, rows * columns, channels * patch * patch});
  return at::linear(patches, weight.flatten(1), bias);
}

PatchEmbedding patch_embedding(ParameterStore& store, const std::string& name, std::int64_t channels,
                               std::int64_t hidden, std::int64_t patch) {
  const std::int64_t pixels = channels * patch * patch;
  return {store.add(name + ".weight", {hidden, channels, patch, patch},
                    Initial::uniform(std::sqrt(6.0 / static_cast<double>(pixels + hidden)))),
          store.add(name + ".bias", {hidden}, Initial::zero())};
}

at::Tensor image_of(const at::Tensor& tokens, std::int64_t side, std::int64_t patch, std::int64_t channels) {
  const std::int64_t n = tokens.size(0);
  return tokens.view({n, side, side, patch, patch, channels})
      .permute({0, 5, 1, 3, 2, 4})
      .reshape({n, channels, side * patch, side * patch});
}

}  // namespace pathline::model

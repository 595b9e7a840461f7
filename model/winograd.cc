// SPDX-License-Identifier: Apache-2.0
#include "model/winograd.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <vector>

#include "model/block_product.h"
#include "model/fused_kernels.h"
#include "model/layout_kernels.h"
#include "model/winograd_kernels.h"

namespace pathline::model {
namespace {

constexpr std::int64_t kTiles = kBlockRows;  // of a task
constexpr std::int64_t kTilesAtOnce = 256;   // whose transforms stay in the last-level cache
constexpr std::int64_t kTransform = 16;      // tiles of a task that only transforms

TileMap map_of(const at::Tensor& x) { return {x.size(0), x.size(2), x.size(3), x.size(1)}; }

/// Between the matrices of two points: not a power of two, lest the same place of all sixteen fall into one cache set.
std::int64_t apart(std::int64_t numbers) { return numbers + 16; }

std::int64_t blocks(std::int64_t count, std::int64_t size) { return (count + size - 1) / size; }

at::Tensor points(std::int64_t numbers) { return at::empty({kPoints * apart(numbers)}, at::kFloat); }

at::Tensor new_map(const TileMap& map) {
  return at::empty({map.samples, map.channels, map.height, map.width},
                   at::TensorOptions().dtype(at::kFloat).memory_format(at::MemoryFormat::ChannelsLast));
}

/// weight (out, in, 3, 3) as the right-hand sides (in, out) of all points.
at::Tensor by_input(const at::Tensor& weight) {
  const std::int64_t out = weight.size(0), in = weight.size(1);
  const at::Tensor result = points(in * out);
  const float* from = weight.const_data_ptr<float>();
  float* to = result.mutable_data_ptr<float>();
  each_task(out / kTransform, [&](std::int64_t task, Arena& arena) {
    const std::int64_t first = task * kTransform, count = kTransform * in;
    float* filters = arena.take<float>(kPoints * apart(count));
    transformed_filters(count, from + first * in * 9, Turn::kNone, filters, apart(count));
    for (std::int64_t p = 0; p < kPoints; ++p) {
      transpose<float, float>({kTransform, in}, filters + p * apart(count), in, to + p * apart(in * out) + first, out);
    }
  });
  return result;
}

/// weight (out, in, 3, 3) as the right-hand sides (out, in) of all points, for the gradient of x.
at::Tensor by_output(const at::Tensor& weight) {
  const std::int64_t out = weight.size(0), in = weight.size(1);
  const at::Tensor result = points(in * out);
  const float* from = weight.const_data_ptr<float>();
  float* to = result.mutable_data_ptr<float>();
  each_task(out / kTransform, [&](std::int64_t task, Arena&) {
    const std::int64_t first = task * kTransform * in;
    transformed_filters(kTransform * in, from + first * 9, Turn::kHalf, to + first, apart(in * out));
  });
  return result;
}

at::Tensor filtered(const at::Tensor& x, const at::Tensor& filters, std::int64_t out, const float* bias) {
  const TileMap from = map_of(x), to{from.samples, from.height, from.width, out};
  const at::Tensor y = new_map(to);
  const std::int64_t in = from.channels;
  const std::vector<float> zeros(static_cast<std::size_t>(in));
  const float *data = x.const_data_ptr<float>(), *right = filters.const_data_ptr<float>();
  float* result = y.mutable_data_ptr<float>();
  each_task(blocks(from.tiles(), kTiles), [&](std::int64_t task, Arena& arena) {
    const TileRange range{task * kTiles, kTiles};  // always full: how many rows a product has might show in their bits
    float* left = arena.take<float>(kPoints * apart(kTiles * in));
    float* products = arena.take<float>(kPoints * apart(kTiles * out));
    input_tiles(from, data, range, zeros.data(), left, apart(kTiles * in));
    for (std::int64_t p = 0; p < kPoints; ++p) {
      for (std::int64_t column = 0; column < out; column += kColumns) {
        block_product({kTiles, std::min(kColumns, out - column), in, in, out, out}, left + p * apart(kTiles * in),
                      right + p * apart(in * out) + column, products + p * apart(kTiles * out) + column);
      }
    }
    output_tiles(to, products, apart(kTiles * out), range, bias, result);
  });
  return y;
}

}  // namespace

bool can_filter_minimally(const at::Tensor& x, const at::Tensor& weight, std::int64_t stride) {
  const TileMap map = map_of(x);
  return x.scalar_type() == at::kFloat && weight.size(2) == 3 && stride == 1 && map.height % 2 == 0 &&
         map.width % 2 == 0 && map.tiles_per_sample() >= 16 && weight.size(0) % 16 == 0 && weight.size(1) % 16 == 0;
}

at::Tensor winograd_convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return filtered(x, by_input(weight), weight.size(0), bias.const_data_ptr<float>());
}

at::Tensor winograd_input_gradient(const at::Tensor& d, const at::Tensor& weight) {
  return filtered(d, by_output(weight), weight.size(1), nullptr);
}

FilterGradients winograd_filter_gradients(const at::Tensor& x, const at::Tensor& d) {
  const TileMap from = map_of(x), to = map_of(d);
  const std::int64_t in = from.channels, out = to.channels, tiles = blocks(from.tiles(), kTransform) * kTransform;
  const std::int64_t most = std::min(kTilesAtOnce, tiles);
  const at::Tensor inputs = points(most * in), gradients = points(most * out), sums = points(in * out),
                   bias_sums = at::empty({tiles / kTransform, out}, at::kFloat);
  const std::vector<float> zeros(static_cast<std::size_t>(in));
  const float *data = x.const_data_ptr<float>(), *slope = d.const_data_ptr<float>();
  float *right = inputs.mutable_data_ptr<float>(), *left = gradients.mutable_data_ptr<float>(),
        *sum = sums.mutable_data_ptr<float>(), *bias = bias_sums.mutable_data_ptr<float>();
  for (std::int64_t start = 0; start < tiles; start += most) {
    const std::int64_t depth = std::min(most, tiles - start), parts = depth / kTransform;
    each_task(2 * parts, [&](std::int64_t task, Arena& arena) {
      const std::int64_t first = task % parts * kTransform;
      const TileRange range{start + first, kTransform};
      if (task < parts) {
        input_tiles(from, data, range, zeros.data(), right + first * in, apart(most * in));
        return;
      }
      const std::int64_t numbers = apart(kTransform * out);
      float* tile = arena.take<float>(kPoints * numbers);
      gradient_tiles(to, slope, range, tile, numbers);
      for (std::int64_t p = 0; p < kPoints; ++p) {
        transpose<float, float>({kTransform, out}, tile + p * numbers, out, left + p * apart(most * out) + first, most);
      }
      // Point (1, 1) of a tile is the sum of its four places.
      sum_rows<float>({kTransform, out}, tile + 5 * numbers, out, bias + (start + first) / kTransform * out);
    });
    const std::int64_t down = blocks(out, kBlockRows), across = blocks(in, kColumns);
    each_task(kPoints * down * across, [&](std::int64_t task, Arena&) {
      const std::int64_t p = task / (down * across), row = task % down * kBlockRows,
                         column = task / down % across * kColumns;
      block_product({std::min(kBlockRows, out - row), std::min(kColumns, in - column), depth, most, in, in},
                    left + p * apart(most * out) + row * most, right + p * apart(most * in) + column,
                    sum + p * apart(in * out) + row * in + column, start > 0);
    });
  }
  FilterGradients result{at::empty({out, in, 3, 3}, at::kFloat), at::empty({out}, at::kFloat)};
  float* filters = result.weight.mutable_data_ptr<float>();
  each_task(out / kTransform, [&](std::int64_t task, Arena&) {
    const std::int64_t first = task * kTransform * in;
    filter_gradients(kTransform * in, sum + first, apart(in * out), filters + first * 9);
  });
  sum_rows<float>({tiles / kTransform, out}, bias, out, result.bias.mutable_data_ptr<float>());
  return result;
}

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
// The loops around the matrix products of winograd.h, all in fp32. A map (H, W, C) with the channels of a place side by
// side is cut into tiles of 2 x 2 places, H and W even, C a multiple of 16; tiles are numbered over all samples. What
// belongs to one of the 16 points of a transformed tile is a matrix, `distance` numbers before that of the next point.
#pragma once

#include <cstdint>

namespace pathline::model {

constexpr std::int64_t kPoints = 16;

struct TileMap {
  std::int64_t samples, height, width, channels;
  std::int64_t tiles_per_sample() const { return height / 2 * (width / 2); }
  std::int64_t tiles() const { return samples * tiles_per_sample(); }
};

/// Tiles [first, first + count): zero beyond the last one.
struct TileRange {
  std::int64_t first, count;
};

/// out_p (count, C) = B^T x B of each tile with a border of one place, which is zero outside the map. `zeros`: C of
/// them.
void input_tiles(const TileMap& map, const float* x, TileRange range, const float* zeros, float* out,
                 std::int64_t distance);

/// y = A^T in A + bias (C, or null); tiles beyond the last one are not written.
void output_tiles(const TileMap& map, const float* in, std::int64_t distance, TileRange range, const float* bias,
                  float* y);

/// out_p (count, C) = A d A^T for d, a gradient of y.
void gradient_tiles(const TileMap& map, const float* d, TileRange range, float* out, std::int64_t distance);

enum class Turn { kNone, kHalf };

/// out_p (count) = G g G^T for `count` filters g (3, 3), a multiple of 16; turned by half a turn for the gradient of x.
void transformed_filters(std::int64_t count, const float* filters, Turn turn, float* out, std::int64_t distance);

/// filters (count, 3, 3) = G^T in G, the gradient of filters.
void filter_gradients(std::int64_t count, const float* in, std::int64_t distance, float* filters);

}  // namespace pathline::model

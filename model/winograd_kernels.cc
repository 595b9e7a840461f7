// SPDX-License-Identifier: Apache-2.0
#include "model/winograd_kernels.h"

#include "model/lanes.h"

namespace pathline::model {
namespace {

// One dimension of each transform, from numbers `step` apart to as many `out_step` apart.
struct Input {  // B^T
  static constexpr int kIn = 4, kOut = 4;
  PATHLINE_INLINE static void line(const Lanes* in, int step, Lanes* out, int out_step) {
    out[0] = in[0] - in[2 * step];
    out[out_step] = in[step] + in[2 * step];
    out[2 * out_step] = in[2 * step] - in[step];
    out[3 * out_step] = in[step] - in[3 * step];
  }
};
struct Output {  // A^T
  static constexpr int kIn = 4, kOut = 2;
  PATHLINE_INLINE static void line(const Lanes* in, int step, Lanes* out, int out_step) {
    out[0] = in[0] + in[step] + in[2 * step];
    out[out_step] = in[step] - in[2 * step] - in[3 * step];
  }
};
struct Gradient {  // A
  static constexpr int kIn = 2, kOut = 4;
  PATHLINE_INLINE static void line(const Lanes* in, int step, Lanes* out, int out_step) {
    out[0] = in[0];
    out[out_step] = in[0] + in[step];
    out[2 * out_step] = in[0] - in[step];
    out[3 * out_step] = -in[step];
  }
};
struct Filter {  // G
  static constexpr int kIn = 3, kOut = 4;
  PATHLINE_INLINE static void line(const Lanes* in, int step, Lanes* out, int out_step) {
    const Lanes outer = (in[0] + in[2 * step]) * 0.5f, inner = in[step] * 0.5f;
    out[0] = in[0];
    out[out_step] = outer + inner;
    out[2 * out_step] = outer - inner;
    out[3 * out_step] = in[2 * step];
  }
};
struct FilterGradient {  // G^T
  static constexpr int kIn = 4, kOut = 3;
  PATHLINE_INLINE static void line(const Lanes* in, int step, Lanes* out, int out_step) {
    const Lanes sum = (in[step] + in[2 * step]) * 0.5f;
    out[0] = in[0] + sum;
    out[out_step] = (in[step] - in[2 * step]) * 0.5f;
    out[2 * out_step] = sum + in[3 * step];
  }
};

/// Both dimensions: in (kIn, kIn), out (kOut, kOut).
template <class Transform>
PATHLINE_INLINE void transform(const Lanes* in, Lanes* out) {
  constexpr int kIn = Transform::kIn, kOut = Transform::kOut;
  Lanes half[kOut * kIn];
#pragma GCC unroll 4
  for (int i = 0; i < kIn; ++i) Transform::line(in + i, kIn, half + i, kIn);
#pragma GCC unroll 4
  for (int i = 0; i < kOut; ++i) Transform::line(half + i * kIn, 1, out + i * kOut, 1);
}

/// Top left place of a tile, counted in places of all samples, and where that is in its sample.
struct Corner {
  Corner(const TileMap& map, std::int64_t tile) {
    const std::int64_t sample = tile / map.tiles_per_sample(), rest = tile % map.tiles_per_sample();
    row = rest / (map.width / 2) * 2;
    column = rest % (map.width / 2) * 2;
    place = (sample * map.height + row) * map.width + column;
  }
  std::int64_t row, column, place;
};

/// Lanes of the same place in `kCount` matrices `distance` apart.
template <int kCount>
PATHLINE_INLINE void scatter(const Lanes* lanes, float* out, std::int64_t distance) {
#pragma GCC unroll 16
  for (int p = 0; p < kCount; ++p) store(lanes[p], out + p * distance);
}

template <int kCount>
PATHLINE_INLINE void gather(Lanes* lanes, const float* in, std::int64_t distance) {
#pragma GCC unroll 16
  for (int p = 0; p < kCount; ++p) load(lanes[p], in + p * distance);
}

/// Zero for all points of one tile.
PATHLINE_INLINE void clear(const TileMap& map, float* out, std::int64_t distance) {
  const Lanes none[kPoints] = {};
  for (std::int64_t c = 0; c < map.channels; c += kLanes) scatter<kPoints>(none, out + c, distance);
}

}  // namespace

PATHLINE_EVERY_ISA
void input_tiles(const TileMap& map, const float* x, TileRange range, const float* zeros, float* out,
                 std::int64_t distance) {
  for (std::int64_t i = 0; i < range.count; ++i, out += map.channels) {
    if (range.first + i >= map.tiles()) {
      clear(map, out, distance);
      continue;
    }
    const Corner corner(map, range.first + i);
    const float* from[kPoints];
    for (std::int64_t p = 0; p < kPoints; ++p) {
      const std::int64_t down = p / 4 - 1, right = p % 4 - 1, row = corner.row + down, column = corner.column + right;
      const bool inside = row >= 0 && row < map.height && column >= 0 && column < map.width;
      from[p] = inside ? x + (corner.place + down * map.width + right) * map.channels : zeros;
    }
    for (std::int64_t c = 0; c < map.channels; c += kLanes) {
      Lanes tile[kPoints], result[kPoints];
#pragma GCC unroll 16
      for (int p = 0; p < kPoints; ++p) load(tile[p], from[p] + c);
      transform<Input>(tile, result);
      scatter<kPoints>(result, out + c, distance);
    }
  }
}

PATHLINE_EVERY_ISA
void output_tiles(const TileMap& map, const float* in, std::int64_t distance, TileRange range, const float* bias,
                  float* y) {
  const std::int64_t below = map.width * map.channels;
  for (std::int64_t i = 0; i < range.count && range.first + i < map.tiles(); ++i, in += map.channels) {
    float* to = y + Corner(map, range.first + i).place * map.channels;
    for (std::int64_t c = 0; c < map.channels; c += kLanes) {
      Lanes tile[kPoints], result[4], shift = {};
      gather<kPoints>(tile, in + c, distance);
      if (bias != nullptr) load(shift, bias + c);
      transform<Output>(tile, result);
      store(result[0] + shift, to + c);
      store(result[1] + shift, to + map.channels + c);
      store(result[2] + shift, to + below + c);
      store(result[3] + shift, to + below + map.channels + c);
    }
  }
}

PATHLINE_EVERY_ISA
void gradient_tiles(const TileMap& map, const float* d, TileRange range, float* out, std::int64_t distance) {
  const std::int64_t below = map.width * map.channels;
  for (std::int64_t i = 0; i < range.count; ++i, out += map.channels) {
    if (range.first + i >= map.tiles()) {
      clear(map, out, distance);
      continue;
    }
    const float* from = d + Corner(map, range.first + i).place * map.channels;
    for (std::int64_t c = 0; c < map.channels; c += kLanes) {
      Lanes tile[4], result[kPoints];
      load(tile[0], from + c);
      load(tile[1], from + map.channels + c);
      load(tile[2], from + below + c);
      load(tile[3], from + below + map.channels + c);
      transform<Gradient>(tile, result);
      scatter<kPoints>(result, out + c, distance);
    }
  }
}

PATHLINE_EVERY_ISA
void transformed_filters(std::int64_t count, const float* filters, Turn turn, float* out, std::int64_t distance) {
  for (std::int64_t i = 0; i < count; i += kLanes, filters += 9 * kLanes) {
    float taps[9][kLanes];
    for (int j = 0; j < kLanes; ++j) {
      for (int tap = 0; tap < 9; ++tap) taps[tap][j] = filters[9 * j + (turn == Turn::kHalf ? 8 - tap : tap)];
    }
    Lanes filter[9], result[kPoints];
    gather<9>(filter, taps[0], kLanes);
    transform<Filter>(filter, result);
    scatter<kPoints>(result, out + i, distance);
  }
}

PATHLINE_EVERY_ISA
void filter_gradients(std::int64_t count, const float* in, std::int64_t distance, float* filters) {
  for (std::int64_t i = 0; i < count; i += kLanes, filters += 9 * kLanes) {
    Lanes points[kPoints], result[9];
    gather<kPoints>(points, in + i, distance);
    transform<FilterGradient>(points, result);
    float taps[9][kLanes];
    scatter<9>(result, taps[0], kLanes);
    for (int j = 0; j < kLanes; ++j) {
      for (int tap = 0; tap < 9; ++tap) filters[9 * j + tap] = taps[tap][j];
    }
  }
}

}  // namespace pathline::model

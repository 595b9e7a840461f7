// SPDX-License-Identifier: Apache-2.0
// What the loops of both passes of norm_silu_kernels.h share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "model/lanes.h"
#include "model/norm_silu_kernels.h"

/// The body of each_piece().
#define PATHLINE_PIECE \
  [&](auto columns, std::int64_t column, std::int64_t first, std::int64_t last) __attribute__((always_inline))

namespace pathline::model {

constexpr std::int64_t kPlaces = 64;  // whose sum is taken in fp32

template <int kCount>
using Columns = std::integral_constant<int, kCount>;

/// body(columns, column, first, last) for pieces of places [first, last), within a piece for four columns of 16
/// channels each from channel `column` on, as long as there are so many, then for single ones.
template <class Body>
PATHLINE_INLINE void each_piece(const GroupSize& size, const Body& body) {
  for (std::int64_t first = 0; first < size.places; first += kPlaces) {
    const std::int64_t last = std::min(first + kPlaces, size.places);
    std::int64_t column = 0;
    for (; column + 4 * kLanes <= size.channels; column += 4 * kLanes) body(Columns<4>(), column, first, last);
    for (; column < size.channels; column += kLanes) body(Columns<1>(), column, first, last);
  }
}

PATHLINE_INLINE void add_to(double* sums, const Lanes& lanes) {
  for (std::int64_t i = 0; i < kLanes; ++i) sums[i] += static_cast<double>(lanes[i]);
}

PATHLINE_INLINE void load_or_zero(Lanes& lanes, const float* from, std::int64_t column) {
  lanes = Lanes{};
  if (from != nullptr) load(lanes, from + column);
}

/// Each channel's number becomes the sum of its group.
PATHLINE_INLINE void over_groups(const GroupSize& size, double* sums) {
  for (std::int64_t start = 0; start < size.channels; start += size.group) {
    double sum = 0.0;
    for (std::int64_t c = start; c < start + size.group; ++c) sum += sums[c];
    std::fill(sums + start, sums + start + size.group, sum);
  }
}

PATHLINE_INLINE void sigmoid(const Lanes& h, Lanes& s) {
  exponential(-h, s);
  s = 1.0f / (s + 1.0f);
}

}  // namespace pathline::model

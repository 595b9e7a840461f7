// SPDX-License-Identifier: Apache-2.0
#include "model/norm_silu_kernels.h"

#include <cmath>

#include "model/norm_silu_pieces.h"

namespace pathline::model {
namespace {

using c10::BFloat16;
constexpr double kEpsilon = 1e-5;

/// sums[c] += x over places, or (x - centre)^2.
template <int kColumns, bool kSquares, class E>
PATHLINE_INLINE void sum_piece(const GroupSize& size, const E* x, const float* centre, std::int64_t column,
                               std::int64_t first, std::int64_t last, double* sums) {
  Lanes total[kColumns], c[kColumns];
#pragma GCC unroll 4
  for (int k = 0; k < kColumns; ++k) {
    total[k] = Lanes{};
    load_or_zero(c[k], centre, column + k * kLanes);
  }
  for (std::int64_t place = first; place < last; ++place) {
#pragma GCC unroll 4
    for (int k = 0; k < kColumns; ++k) {
      Lanes v;
      load(v, x + place * size.distance + column + k * kLanes);
      if (kSquares) {
        v -= c[k];
        v *= v;
      }
      total[k] += v;
    }
  }
#pragma GCC unroll 4
  for (int k = 0; k < kColumns; ++k) add_to(sums + column + k * kLanes, total[k]);
}

template <bool kSquares, class E>
PATHLINE_INLINE void sum_places(const GroupSize& size, const E* x, const float* centre, double* sums) {
  std::fill(sums, sums + size.channels, 0.0);
  each_piece(
      size, PATHLINE_PIECE { sum_piece<columns(), kSquares>(size, x, centre, column, first, last, sums); });
}

template <class E>
PATHLINE_INLINE void moments(const GroupSize& size, const E* x, const ChannelTerms& terms, double* scratch, float* mean,
                             float* rstd) {
  const double count = static_cast<double>(size.places * size.group);
  float* centre = reinterpret_cast<float*>(scratch + size.channels);
  const auto added = [&](std::int64_t c) { return terms.added == nullptr ? 0.0f : terms.added[c]; };
  sum_places<false>(size, x, nullptr, scratch);
  for (std::int64_t c = 0; c < size.channels; ++c) {
    scratch[c] += static_cast<double>(size.places) * static_cast<double>(added(c));
  }
  over_groups(size, scratch);
  for (std::int64_t c = 0; c < size.channels; ++c) {
    mean[c] = static_cast<float>(scratch[c] / count);
    centre[c] = mean[c] - added(c);
  }
  sum_places<true>(size, x, centre, scratch);
  over_groups(size, scratch);
  for (std::int64_t c = 0; c < size.channels; ++c) {
    rstd[c] = static_cast<float>(1.0 / std::sqrt(scratch[c] / count + kEpsilon));
  }
}

template <bool kSilu, class E>
PATHLINE_INLINE void apply(const GroupSize& size, const E* x, const float* slope, const float* start, E* out) {
  for (std::int64_t place = 0; place < size.places; ++place, x += size.distance, out += size.distance) {
    for (std::int64_t column = 0; column < size.channels; column += kLanes) {
      Lanes h, a, b;
      load(h, x + column);
      load(a, slope + column);
      load(b, start + column);
      h = h * a + b;
      if (kSilu) {
        Lanes s;
        sigmoid(h, s);
        h *= s;
      }
      store(h, out + column);
    }
  }
}

template <class E>
PATHLINE_INLINE void forward(const GroupSize& size, const E* x, const ChannelTerms& terms, double* scratch, E* out,
                             float* mean, float* rstd) {
  moments(size, x, terms, scratch, mean, rstd);
  float *slope = reinterpret_cast<float*>(scratch), *start = slope + size.channels;
  for (std::int64_t c = 0; c < size.channels; ++c) {
    slope[c] = rstd[c] * terms.gain[c];
    start[c] = terms.shift[c] - (mean[c] - (terms.added == nullptr ? 0.0f : terms.added[c])) * slope[c];
  }
  if (size.silu) {
    apply<true>(size, x, slope, start, out);
  } else {
    apply<false>(size, x, slope, start, out);
  }
}

}  // namespace

// Both element types; a template cannot have copies for every instruction set, its specialisations can.
#define PATHLINE_FORWARD(E)                                                                                         \
  template <>                                                                                                       \
  PATHLINE_EVERY_ISA void norm_silu_forward(GroupSize size, const E* x, const ChannelTerms& terms, double* scratch, \
                                            E* out, float* mean, float* rstd) {                                     \
    forward(size, x, terms, scratch, out, mean, rstd);                                                              \
  }
PATHLINE_FORWARD(float)
PATHLINE_FORWARD(BFloat16)

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
#include "model/norm_silu_pieces.h"

namespace pathline::model {
namespace {

using c10::BFloat16;

/// The numbers of one channel that both passes of backward() need.
struct Channel {
  Lanes gain, shift, centre, rstd;
};

PATHLINE_INLINE void load_channel(Channel& channel, const ChannelTerms& terms, const float* mean, const float* rstd,
                                  std::int64_t column) {
  Lanes added;
  load_or_zero(added, terms.added, column);
  load(channel.gain, terms.gain + column);
  load(channel.shift, terms.shift + column);
  load(channel.centre, mean + column);
  load(channel.rstd, rstd + column);
  channel.centre -= added;
}

template <int kColumns, bool kSilu, class E>
PATHLINE_INLINE void differentiate_silu(const GroupSize& size, const E* d, const E* x, const ChannelTerms& terms,
                                        const float* mean, const float* rstd, std::int64_t column, std::int64_t first,
                                        std::int64_t last, float* g, std::int64_t g_distance, double* of_g,
                                        double* of_gn) {
  Lanes sum_g[kColumns], sum_gn[kColumns];
  Channel channel[kColumns];
#pragma GCC unroll 4
  for (int k = 0; k < kColumns; ++k) {
    sum_g[k] = sum_gn[k] = Lanes{};
    load_channel(channel[k], terms, mean, rstd, column + k * kLanes);
  }
  for (std::int64_t place = first; place < last; ++place) {
#pragma GCC unroll 4
    for (int k = 0; k < kColumns; ++k) {
      const std::int64_t at = place * size.distance + column + k * kLanes;
      Lanes slope, normed;
      load(slope, d + at);
      load(normed, x + at);
      normed = (normed - channel[k].centre) * channel[k].rstd;
      if (kSilu) {
        const Lanes h = normed * channel[k].gain + channel[k].shift;
        Lanes s;
        sigmoid(h, s);
        slope *= s * (h * (1.0f - s) + 1.0f);
      }
      store(slope, g + place * g_distance + column + k * kLanes);
      sum_g[k] += slope;
      sum_gn[k] += slope * normed;
    }
  }
#pragma GCC unroll 4
  for (int k = 0; k < kColumns; ++k) {
    add_to(of_g + column + k * kLanes, sum_g[k]);
    add_to(of_gn + column + k * kLanes, sum_gn[k]);
  }
}

template <int kColumns, class E>
PATHLINE_INLINE void differentiate_norm(const GroupSize& size, const E* x, const ChannelTerms& terms, const float* mean,
                                        const float* rstd, const float* averages, std::int64_t column,
                                        std::int64_t first, std::int64_t last, const float* g, std::int64_t g_distance,
                                        E* dx, double* of_dx) {
  Lanes sum[kColumns], average_g[kColumns], average_gn[kColumns];
  Channel channel[kColumns];
#pragma GCC unroll 4
  for (int k = 0; k < kColumns; ++k) {
    sum[k] = Lanes{};
    load_channel(channel[k], terms, mean, rstd, column + k * kLanes);
    load(average_g[k], averages + column + k * kLanes);
    load(average_gn[k], averages + size.channels + column + k * kLanes);
  }
  for (std::int64_t place = first; place < last; ++place) {
#pragma GCC unroll 4
    for (int k = 0; k < kColumns; ++k) {
      const std::int64_t at = place * size.distance + column + k * kLanes;
      Lanes slope, normed;
      load(slope, g + place * g_distance + column + k * kLanes);
      load(normed, x + at);
      normed = (normed - channel[k].centre) * channel[k].rstd;
      const Lanes v = (slope * channel[k].gain - average_g[k] - normed * average_gn[k]) * channel[k].rstd;
      store(v, dx + at);
      sum[k] += v;
    }
  }
#pragma GCC unroll 4
  for (int k = 0; k < kColumns; ++k) add_to(of_dx + column + k * kLanes, sum[k]);
}

// With n = (x + added - mean) rstd, h = n gain + shift, g = d silu'(h), silu'(h) = s (1 + h (1 - s)):
// dshift = sum g, dgain = sum g n, dx = rstd (g gain - avg(g gain) - n avg(g gain n)), dadded = sum dx.
template <bool kSilu, class E>
PATHLINE_INLINE void backward(const GroupSize& size, const E* d, const E* x, const ChannelTerms& terms,
                              const float* mean, const float* rstd, double* scratch, float* g, std::int64_t g_distance,
                              E* dx, const ChannelGradients& sums) {
  double *of_g = scratch, *of_gn = scratch + size.channels;
  float* averages = reinterpret_cast<float*>(scratch + 2 * size.channels);
  std::fill(scratch, scratch + 2 * size.channels, 0.0);
  each_piece(
      size, PATHLINE_PIECE {
        differentiate_silu<columns(), kSilu>(size, d, x, terms, mean, rstd, column, first, last, g, g_distance, of_g,
                                             of_gn);
      });
  for (std::int64_t c = 0; c < size.channels; ++c) {
    sums.shift[c] = static_cast<float>(of_g[c]);
    sums.gain[c] = static_cast<float>(of_gn[c]);
    of_g[c] *= static_cast<double>(terms.gain[c]);
    of_gn[c] *= static_cast<double>(terms.gain[c]);
  }
  over_groups(size, of_g);
  over_groups(size, of_gn);
  const double count = static_cast<double>(size.places * size.group);
  for (std::int64_t c = 0; c < 2 * size.channels; ++c) averages[c] = static_cast<float>(scratch[c] / count);
  double* of_dx = scratch;
  std::fill(of_dx, of_dx + size.channels, 0.0);
  each_piece(
      size, PATHLINE_PIECE {
        differentiate_norm<columns()>(size, x, terms, mean, rstd, averages, column, first, last, g, g_distance, dx,
                                      of_dx);
      });
  if (sums.added == nullptr) return;
  for (std::int64_t c = 0; c < size.channels; ++c) sums.added[c] = static_cast<float>(of_dx[c]);
}

}  // namespace

// Both element types; a template cannot have copies for every instruction set, its specialisations can.
#define PATHLINE_BACKWARD(E)                                                                                    \
  template <>                                                                                                   \
  PATHLINE_EVERY_ISA void norm_silu_backward(GroupSize size, const E* d, const E* x, const ChannelTerms& terms, \
                                             const float* mean, const float* rstd, double* scratch, float* g,   \
                                             std::int64_t g_distance, E* dx, const ChannelGradients& sums) {    \
    if (size.silu) {                                                                                            \
      backward<true>(size, d, x, terms, mean, rstd, scratch, g, g_distance, dx, sums);                          \
    } else {                                                                                                    \
      backward<false>(size, d, x, terms, mean, rstd, scratch, g, g_distance, dx, sums);                         \
    }                                                                                                           \
  }
PATHLINE_BACKWARD(float)
PATHLINE_BACKWARD(BFloat16)

}  // namespace pathline::model

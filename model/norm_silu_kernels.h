// SPDX-License-Identifier: Apache-2.0
// The loops of norm_silu.h over a few whole groups of one sample: all places (rows) of some channels that lie side by
// side. They read and write E, float or c10::BFloat16, and compute in fp32, in one fixed order whatever the
// instruction set.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace pathline::model {

/// `places` rows of `channels` numbers, `distance` apart; `channels` is a multiple of 16 and of `group`.
struct GroupSize {
  std::int64_t places, channels, distance, group;
  bool silu;  // or the norm alone
};

/// What the channels bring along, one fp32 number each.
struct ChannelTerms {
  const float* added;  // null: nothing is added
  const float *gain, *shift;
};
struct ChannelGradients {
  float *added, *gain, *shift;  // `added` null where nothing was
};

/// out = silu(n gain + shift), n = (x + added - mean) rstd; mean and rstd (a number for each channel, eps 1e-5) are
/// written. `scratch`: 4 channels numbers.
template <class E>
void norm_silu_forward(GroupSize size, const E* x, const ChannelTerms& terms, double* scratch, E* out, float* mean,
                       float* rstd);

/// From d, the gradient of out: dx and the sums over places. `scratch`: 4 channels numbers; `g`: places x channels in
/// fp32, as far apart as given (it may be dx).
template <class E>
void norm_silu_backward(GroupSize size, const E* d, const E* x, const ChannelTerms& terms, const float* mean,
                        const float* rstd, double* scratch, float* g, std::int64_t g_distance, E* dx,
                        const ChannelGradients& sums);

}  // namespace pathline::model

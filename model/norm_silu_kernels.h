// SPDX-License-Identifier: Apache-2.0
// The loops of norm_silu.h over one group of one sample: a few channels (rows) of all places (width). They read and write
// E, float or c10::BFloat16, and compute in fp32, in one fixed order whatever the instruction set.
#pragma once

#include <c10/util/BFloat16.h>

#include "model/rows.h"

namespace pathline::model {

/// What the channels of the group bring along, one fp32 number a row.
struct ChannelTerms {
  const float* added;  // null: nothing is added
  const float *gain, *shift;
};
struct ChannelGradients {
  float *added, *gain, *shift;  // `added` null where nothing was
};

/// out = silu(n gain + shift), n = (x + added - mean) rstd; mean and rstd (one number each, eps 1e-5) are written.
template <class E>
void norm_silu_forward(Rows rows, const E* x, const ChannelTerms& terms, E* out, float* mean, float* rstd);

/// From d, the gradient of out: dx and the sums over places. `scratch` holds a group in fp32.
template <class E>
void norm_silu_backward(Rows rows, const E* d, const E* x, const ChannelTerms& terms, float mean, float rstd,
                        float* scratch, E* dx, const ChannelGradients& sums);

}  // namespace pathline::model

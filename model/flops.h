// SPDX-License-Identifier: Apache-2.0
// How many floating-point operations a network takes, from its options alone.
#pragma once

#include "model/model_options.h"

namespace pathline::model {

/// Of one sample; a multiplication and an addition count two. Only products of matrices and convolutions count, as is
/// the custom of the field: norms, activations and sums are left out.
struct Flops {
  double linear = 0;  // patches, queries to projections, MLPs, time, last layer
  double convolution = 0;
  double attention = 0;   // scores and mixing
  double modulation = 0;  // what time and label do to every block

  double total() const { return linear + convolution + attention + modulation; }
};

/// One evaluation of the velocity. input_size and input_channels must be known; throws ExitCode::kUsage for options
/// that make no network.
Flops forward_flops(const ModelOptions& options);

/// Forward and backward of one training sample: the backward pass takes twice the forward's products, one for the
/// inputs and one for the weights. What activation checkpointing computes again does not count (Chowdhery et al.,
/// "PaLM", 2022, appendix B: model FLOPs, not hardware FLOPs).
Flops training_flops(const ModelOptions& options);

}  // namespace pathline::model

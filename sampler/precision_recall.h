// SPDX-License-Identifier: Apache-2.0
// Which part of a set lies among its reference, and which part of the reference the set reaches (Kynkaanniemi et al.,
// "Improved precision and recall metric for assessing generative models", arXiv 1904.06991).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace pathline::sampler {

struct PrecisionRecall {
  double precision = 0;  // share of the set's rows inside the reference's manifold
  double recall = 0;     // share of the reference's rows inside the set's manifold
};

/// A manifold is the union of balls around rows, each as large as the distance to its k-th nearest mate. `set` (N, D)
/// and `reference` (M, D), any floating type; distances are taken in fp64 in tiles of bounded size, and those that
/// rounding cannot tell from 0 are 0. Throws ExitCode::kUsage for at most k rows, kInput for different D.
PrecisionRecall precision_recall(const at::Tensor& set, const at::Tensor& reference, std::int64_t k = 3);

}  // namespace pathline::sampler

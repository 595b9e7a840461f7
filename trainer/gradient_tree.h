// SPDX-License-Identifier: Apache-2.0
// The gradients of this rank's slices, combined along the fixed tree as they come (cluster/reduction_tree.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "cluster/reduction_tree.h"
#include "trainer/flat_layout.h"

namespace pathline::trainer {

class GradientTree {
 public:
  /// `layout` must outlive it. Buffers are as many as the tree needs: 1 + log2 of the own slices at most.
  GradientTree(const FlatLayout& layout, cluster::SliceRange own, std::int64_t slices);

  /// Starts a new step.
  void start() { taken_ = 0; }
  /// Takes the next own slice's gradients out of the parameters (their .grad is released). A parameter without a
  /// gradient counts as zero.
  void take(const std::vector<model::NamedTensor>& parameters);

  /// After all own slices: one whole padded flat gradient for each covering node, in order.
  std::vector<std::span<const float>> partials() const;
  /// Elements [begin, end) of the first one, for a result in place.
  std::span<float> in_first(std::size_t begin, std::size_t end);

 private:
  std::span<float> buffer(std::size_t number) const;

  const FlatLayout& layout_;
  std::vector<cluster::FoldStep> plan_;
  std::size_t covering_nodes_;
  std::size_t taken_ = 0;
  std::vector<at::Tensor> buffers_;  // (layout.elements) each
};

}  // namespace pathline::trainer

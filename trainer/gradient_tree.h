// SPDX-License-Identifier: Apache-2.0
// The gradients of this rank's slices, combined as a fold plan says (cluster/reduction_tree.h) while autograd makes
// them: each goes into a flat fp32 buffer as soon as it is there, so that no second copy of all gradients ever exists.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <vector>

#include "cluster/reduction_tree.h"
#include "trainer/backend.h"
#include "trainer/flat_layout.h"

namespace pathline::trainer {

/// How many flat buffers a plan needs. A slice in one pass that merges at once is added to the buffer below; one in
/// several passes is summed up in a buffer of its own first.
std::size_t gradient_buffers(const std::vector<cluster::FoldStep>& plan, std::int64_t passes);

class GradientTree {
 public:
  /// A slice is made in `passes` backward passes (micro-batches), added in order. `bucket_done(b)` is called, in the
  /// thread that brings the last gradient, when the partial sums of bucket b are complete. References must outlive it.
  GradientTree(Backend& backend, const FlatLayout& layout, std::vector<cluster::FoldStep> plan, std::int64_t passes,
               std::function<void(std::size_t bucket)> bucket_done);

  void start_step();
  void start_pass();
  /// Once a pass for every tensor that has a gradient; `tensor` counts in the layout. fp32 or bf16.
  void take(std::size_t tensor, const at::Tensor& gradient);
  /// Tensors that had no gradient count as zero.
  void end_pass();

  /// What the plan leaves, in order: whole flat buffers.
  std::span<const at::Tensor> partials() const { return {buffers_.data(), partials_}; }
  std::size_t bytes() const;

 private:
  struct Target {
    std::size_t buffer;
    bool add;
  };
  Target target() const;
  void count_down(std::size_t tensor);
  void merge(std::size_t bucket);

  Backend& backend_;
  const FlatLayout& layout_;
  std::vector<cluster::FoldStep> plan_;
  std::int64_t passes_;
  std::function<void(std::size_t)> bucket_done_;
  std::size_t partials_;
  std::vector<at::Tensor> buffers_;   // (layout.elements) fp32 each
  std::size_t slice_ = 0;             // under way
  std::int64_t pass_ = -1;            // of the slice
  std::vector<bool> taken_;           // by tensor, in this pass
  std::vector<std::size_t> missing_;  // tensors of each bucket in this pass
};

}  // namespace pathline::trainer

// SPDX-License-Identifier: Apache-2.0
// A slice's forward and backward pass as one CUDA graph (train.cuda_graph): captured once, since all slices have the
// same shapes, then replayed with one call instead of thousands. cuda_slice_graph.cc; no_slice_graph.cc without CUDA.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "model/module.h"
#include "trainer/objective.h"

namespace pathline::trainer {

class SliceGraph {
 public:
  virtual ~SliceGraph() = default;

  /// (n) loss of each sample, on the GPU. All parameters have arrived. The first call captures.
  virtual at::Tensor run(const Question& question) = 0;
  /// Of the sum of the last losses times the share, in the order of model.parameters(); undefined where there is none.
  /// Overwritten by the next run().
  virtual const std::vector<at::Tensor>& gradients() const = 0;
};

/// Whether `model` can be captured: on a GPU, without dropout (its keys come from the host). Throws ExitCode::kUsage.
/// Objective and model must outlive it.
std::unique_ptr<SliceGraph> make_slice_graph(const TwoPartObjective& objective, model::Module& model, double share);

}  // namespace pathline::trainer

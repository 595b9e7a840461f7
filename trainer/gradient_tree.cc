// SPDX-License-Identifier: Apache-2.0
#include "trainer/gradient_tree.h"

#include <ATen/ops/zeros.h>

#include <algorithm>

#include "core/error.h"

namespace pathline::trainer {
namespace {

/// A slice that merges at once is added to the buffer below, so only those that stay need one.
std::size_t buffers_needed(const std::vector<cluster::FoldStep>& plan) {
  int needed = 0;
  for (const auto& step : plan) needed = std::max(needed, step.buffer + (step.merges == 0 ? 1 : 0));
  return static_cast<std::size_t>(needed);
}

std::span<const float> contiguous_values(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

}  // namespace

GradientTree::GradientTree(const FlatLayout& layout, cluster::SliceRange own, std::int64_t slices)
    : layout_(layout), plan_(cluster::fold_plan(own, slices)), covering_nodes_(cluster::covering_nodes(own, slices).size()) {
  for (std::size_t i = 0; i < buffers_needed(plan_); ++i) {
    buffers_.push_back(at::zeros({static_cast<std::int64_t>(layout.elements)}, at::kFloat));
  }
}

void GradientTree::take(const std::vector<model::NamedTensor>& parameters) {
  const cluster::FoldStep step = plan_.at(taken_++);
  const bool merges = step.merges > 0;
  const std::span<float> into = buffer(static_cast<std::size_t>(step.buffer - (merges ? 1 : 0)));
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    at::Tensor parameter = parameters[i].tensor;
    const FlatTensor& place = layout_.tensors[parameters.size() - 1 - i];
    const auto values = into.subspan(place.offset, place.elements);
    const at::Tensor gradient = parameter.grad();
    if (!gradient.defined()) {
      if (!merges) std::fill(values.begin(), values.end(), 0.0f);
      continue;
    }
    const at::Tensor dense = gradient.contiguous();
    if (merges) cluster::add_into(values, contiguous_values(dense));
    else std::ranges::copy(contiguous_values(dense), values.begin());
    parameter.mutable_grad() = at::Tensor();
  }
  for (int top = step.buffer - 1, left = step.merges - 1; left > 0; --left, --top) {
    cluster::add_into(buffer(static_cast<std::size_t>(top - 1)), buffer(static_cast<std::size_t>(top)));
  }
}

std::vector<std::span<const float>> GradientTree::partials() const {
  PL_ASSERT(taken_ == plan_.size());
  std::vector<std::span<const float>> partials;
  for (std::size_t i = 0; i < covering_nodes_; ++i) partials.push_back(buffer(i));
  return partials;
}

std::span<float> GradientTree::in_first(std::size_t begin, std::size_t end) {
  return buffer(0).subspan(begin, end - begin);
}

std::span<float> GradientTree::buffer(std::size_t number) const {
  return {buffers_.at(number).mutable_data_ptr<float>(), layout_.elements};
}

}  // namespace pathline::trainer

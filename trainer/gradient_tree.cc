// SPDX-License-Identifier: Apache-2.0
#include "trainer/gradient_tree.h"

#include <ATen/ops/zeros.h>

#include <algorithm>

#include "core/error.h"

namespace pathline::trainer {
namespace {

at::Tensor part(const at::Tensor& flat, std::size_t begin, std::size_t count) {
  return flat.narrow(0, static_cast<std::int64_t>(begin), static_cast<std::int64_t>(count));
}

/// Buffers in use after the plan.
std::size_t left_over(const std::vector<cluster::FoldStep>& plan) {
  return plan.empty() ? 0 : static_cast<std::size_t>(plan.back().buffer + 1 - plan.back().merges);
}

}  // namespace

std::size_t gradient_buffers(const std::vector<cluster::FoldStep>& plan, std::int64_t passes) {
  int needed = 0;
  for (const auto& step : plan) needed = std::max(needed, step.buffer + (passes == 1 && step.merges > 0 ? 0 : 1));
  return static_cast<std::size_t>(needed);
}

GradientTree::GradientTree(Backend& backend, const FlatLayout& layout, std::vector<cluster::FoldStep> plan,
                           std::int64_t passes, std::function<void(std::size_t bucket)> bucket_done)
    : backend_(backend),
      layout_(layout),
      plan_(std::move(plan)),
      passes_(passes),
      bucket_done_(std::move(bucket_done)),
      partials_(left_over(plan_)),
      taken_(layout.tensors.size()),
      missing_(layout.buckets.size()) {
  const auto options = at::TensorOptions().dtype(at::kFloat).device(backend.device());
  for (std::size_t i = 0; i < gradient_buffers(plan_, passes); ++i) {
    buffers_.push_back(at::zeros({static_cast<std::int64_t>(layout.elements)}, options));
  }
}

void GradientTree::start_step() {
  slice_ = 0;
  pass_ = -1;
}

void GradientTree::start_pass() {
  if (++pass_ == passes_) {
    pass_ = 0;
    ++slice_;
  }
  PL_ASSERT(slice_ < plan_.size());
  std::fill(taken_.begin(), taken_.end(), false);
  for (std::size_t b = 0; b < missing_.size(); ++b) {
    missing_[b] = layout_.buckets[b].last_tensor - layout_.buckets[b].first_tensor;
  }
}

GradientTree::Target GradientTree::target() const {
  const auto [buffer, merges] = plan_[slice_];
  const bool into_below = passes_ == 1 && merges > 0;
  return {static_cast<std::size_t>(buffer - (into_below ? 1 : 0)), into_below || pass_ > 0};
}

void GradientTree::take(std::size_t tensor, const at::Tensor& gradient) {
  const FlatTensor& place = layout_.tensors[tensor];
  PL_ASSERT(!taken_[tensor] && static_cast<std::size_t>(gradient.numel()) == place.elements);
  const auto [buffer, add] = target();
  backend_.take_gradient(gradient.contiguous(), part(buffers_[buffer], place.offset, place.elements), add);
  count_down(tensor);
}

void GradientTree::end_pass() {
  for (std::size_t t = 0; t < taken_.size(); ++t) {
    if (taken_[t]) continue;
    const auto [buffer, add] = target();
    if (!add) part(buffers_[buffer], layout_.tensors[t].offset, layout_.tensors[t].elements).zero_();
    count_down(t);
  }
}

void GradientTree::count_down(std::size_t tensor) {
  taken_[tensor] = true;
  const std::size_t bucket = layout_.tensors[tensor].bucket;
  if (--missing_[bucket] > 0 || pass_ + 1 < passes_) return;
  merge(bucket);
  if (slice_ + 1 == plan_.size()) bucket_done_(bucket);
}

void GradientTree::merge(std::size_t bucket) {
  const auto [buffer, merges] = plan_[slice_];
  const int done = passes_ == 1 && merges > 0 ? 1 : 0;  // by taking into the buffer below
  const cluster::Range& range = layout_.buckets[bucket].range;
  for (int m = done; m < merges; ++m) {
    const auto top = static_cast<std::size_t>(buffer - m);
    part(buffers_[top - 1], range.begin, range.size()).add_(part(buffers_[top], range.begin, range.size()));
  }
}

std::size_t GradientTree::bytes() const { return buffers_.size() * layout_.elements * sizeof(float); }

}  // namespace pathline::trainer

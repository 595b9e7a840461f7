// SPDX-License-Identifier: Apache-2.0
#include "sampler/guidance.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/error.h"

namespace pathline::sampler {

GuidedField::GuidedField(Field field, Guidance guidance) : field_(std::move(field)), guidance_(std::move(guidance)) {}

at::Tensor GuidedField::operator()(const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels,
                                   const at::Tensor& weights) const {
  const at::Tensor conditional = field_(x, t, labels);
  const float* weight = weights.const_data_ptr<float>();
  bool any = false;
  for (std::int64_t s = 0; s < weights.numel(); ++s) any |= weight[s] != 1.0f;
  if (!any) return conditional;
  PL_CHECK(guidance_.weaker || guidance_.null_label >= 0, core::ExitCode::kUsage,
           "guidance was asked of an unconditional model (it has no labels to be guided by). Leave --guidance out.");
  const at::Tensor other =
      guidance_.weaker ? guidance_.weaker(x, t, labels) : field_(x, t, at::full_like(labels, guidance_.null_label));
  std::vector<std::int64_t> per_row(static_cast<std::size_t>(x.dim()), 1);
  per_row[0] = x.size(0);
  const at::Tensor w = weights.to(conditional.options()).view(per_row);
  const at::Tensor guided = at::where(w == 1.0, conditional, other + w * (conditional - other));
  // What a network says of its variance is not guided.
  const std::int64_t channels = guidance_.channels > 0 ? std::min(guidance_.channels, x.size(1)) : x.size(1);
  if (channels == conditional.size(1)) return guided;
  return at::cat({guided.narrow(1, 0, channels), conditional.narrow(1, channels, conditional.size(1) - channels)}, 1);
}

}  // namespace pathline::sampler

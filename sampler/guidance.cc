// SPDX-License-Identifier: Apache-2.0
#include "sampler/guidance.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>

#include "core/error.h"

namespace pathline::sampler {

CostedField guided(const Field& field, double weight, std::int64_t null_label) {
  if (weight == 1.0) return {field, 1};
  PL_CHECK(null_label >= 0, core::ExitCode::kUsage, "guidance ", weight,
           " was asked of an unconditional model (it has no labels to be guided by). Leave --guidance out.");
  return {[field, weight, null_label](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
            const at::Tensor conditional = field(x, t, labels);
            const at::Tensor unconditional = field(x, t, at::full_like(labels, null_label));
            return unconditional + weight * (conditional - unconditional);
          },
          2};
}

}  // namespace pathline::sampler

// SPDX-License-Identifier: Apache-2.0
#include "sampler/row_check.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/flip.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>

#include "core/error.h"

namespace pathline::sampler {

void check_rows_independent(const Field& field, const Job& job) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> rows;
  for (std::int64_t s = 0; s < job.slots; ++s) rows.push_back(start_noise(job.seed, s, job.sample_shape));
  const at::Tensor x = at::stack(rows);                                            // (S, ...)
  const at::Tensor place = at::arange(job.slots, at::kLong);                       // (S)
  const at::Tensor share = place.to(at::kFloat) / static_cast<double>(job.slots);  // (S) in [0, 1)
  const at::Tensor t = share * (job.solver.t1 - job.solver.t0) + job.solver.t0;
  at::Tensor labels, turned_labels;
  if (job.null_label >= 0) {
    labels = place.remainder(job.null_label + 1);
    turned_labels = labels.flip(0);
  }
  const at::Tensor v = field(x, t, labels);
  const at::Tensor turned = field(x.flip(0), t.flip(0), turned_labels);
  PL_CHECK(
      at::isfinite(v).all().item<bool>(), core::ExitCode::kNumerical,
      "the network's answer to noise is not finite (every sample would be lost). Look at the loss of its training: ",
      "the weights may have diverged; sample an earlier checkpoint.");
  PL_CHECK(at::equal(v, turned.flip(0)), core::ExitCode::kUsage,
           "the network gives a sample other bits in another row of a batch of ", job.slots,
           " (samples would depend on what they are made together with). Try another multiple of 16 with --slots, or "
           "--threads 1.");
}

}  // namespace pathline::sampler

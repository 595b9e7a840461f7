// SPDX-License-Identifier: Apache-2.0
#include "sampler/latents.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include "core/error.h"

namespace pathline::sampler {
namespace {

/// (C, 1, 1), fp32.
at::Tensor by_channel(const std::vector<double>& numbers, const at::Tensor& x) {
  PL_ASSERT(x.dim() >= 3 && x.size(-3) == std::ssize(numbers));
  return at::tensor(numbers, at::kDouble).to(at::kFloat).view({-1, 1, 1});
}

}  // namespace

at::Tensor latent_of(const at::Tensor& x, const data::LatentForm& form) {
  if (form.scale.empty()) return x;
  return x / by_channel(form.scale, x) + by_channel(form.shift, x);
}

void check_same_latents(const std::string& name, const data::LatentForm& held, const data::LatentForm& trained) {
  PL_CHECK(held.scale.empty() == trained.scale.empty(), core::ExitCode::kUsage, name, " holds ",
           held.scale.empty() ? "no latents" : "latents", ", and the model was trained on ",
           trained.scale.empty() ? "samples that are none" : "latents",
           " (their numbers mean different things). Give a set like the one it was trained on.");
  PL_CHECK(held.shift == trained.shift && held.scale == trained.scale, core::ExitCode::kUsage, name,
           " holds latents of another shift or scale than those that the model was trained on (its numbers would ",
           "mean something else). Encode the set again with --normalize SHIFT,SCALE of the training set.");
}

data::LatentForm generated_form(const data::LatentForm& form) { return {1, 1, form.shift, form.scale}; }

}  // namespace pathline::sampler

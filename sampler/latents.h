// SPDX-License-Identifier: Apache-2.0
// Samples of models of latents, and the latents that they stand for.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "data/shard_source.h"

namespace pathline::sampler {

/// What an autoencoder's decoder takes: x / scale + shift by channel of x (..., C, h, w), fp32. Where `form` has no
/// scale the model is not one of latents, and x stays as it is.
at::Tensor latent_of(const at::Tensor& x, const data::LatentForm& form);

/// Throws ExitCode::kUsage where the set `name` holds latents and the model was trained on none, on such of another
/// normalisation, or the other way round.
void check_same_latents(const std::string& name, const data::LatentForm& held, const data::LatentForm& trained);

/// Shift and scale of `form` for latents as they come out of a model: one flip, no law.
data::LatentForm generated_form(const data::LatentForm& form);

}  // namespace pathline::sampler

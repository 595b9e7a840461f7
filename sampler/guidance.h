// SPDX-License-Identifier: Apache-2.0
// Classifier-free guidance (Ho, Salimans 2022, arXiv 2207.12598), in the convention v = v_null + W (v_cond - v_null).
#pragma once

#include <cstdint>

#include "sampler/field.h"

namespace pathline::sampler {

/// A field and what one call of it costs: network forward passes a row.
struct CostedField {
  Field field;
  std::int64_t passes = 1;
};

/// `field` guided with weight W on all channels. W = 1 is `field` itself and never asks for the null label; any other W
/// makes two calls of the same shape. Throws ExitCode::kUsage for W != 1 where null_label is -1 (unconditional field).
CostedField guided(const Field& field, double weight, std::int64_t null_label);

}  // namespace pathline::sampler

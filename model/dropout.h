// SPDX-License-Identifier: Apache-2.0
// Dropout whose mask belongs to the sample, not to its place in a batch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/module.h"

namespace pathline::model {

/// x (N, ...) with elements zeroed with probability `rate` and the others divided by 1 - rate. Row i's mask is a pure
/// function of (seed, positions[i], layer): element p is dropped where uniform draw p < rate.
at::Tensor keyed_dropout(const at::Tensor& x, double rate, const Condition& condition, std::uint32_t layer);

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
// Rows of numbers in the layouts in which products of blocks want them. Numbers move, none changes but by rounding.
#pragma once

#include <c10/util/BFloat16.h>

#include "model/rows.h"

namespace pathline::model {

/// out (width, count) = in^T for in (count, width); distances between rows as given.
template <class From, class To>
void transpose(Rows rows, const From* in, std::int64_t in_stride, To* out, std::int64_t out_stride);

/// Pairs of rows side by side, as bf16 products want their right-hand side: out (count / 2, width, 2); the partner of
/// an odd last row is zero. Rows of in are `in_stride` apart.
void interleave(Rows rows, const c10::BFloat16* in, std::int64_t in_stride, c10::BFloat16* out);

}  // namespace pathline::model

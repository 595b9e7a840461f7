// SPDX-License-Identifier: Apache-2.0
// Rows of a batch, each a mixture of its data and its noise with coefficients of its own time.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace pathline::flow {

/// (N) fp64: factor(t) of every row's time.
at::Tensor of_times(const at::Tensor& t, const std::function<double(double)>& factor);

/// Factors (N) as factors of rows (N, ...): shape (N, 1, ...), of the rows' type.
at::Tensor as_row_factors(const at::Tensor& factors, const at::Tensor& rows);

/// (K, N) fp32, N > 0: the K numbers that of_row(n) gives for each of N rows.
at::Tensor row_table(std::int64_t rows, const std::function<std::vector<double>(std::int64_t row)>& of_row);

/// c1 x1 + c0 x0; x0, x1 (N, ...), c0, c1 (N).
at::Tensor mixed(const at::Tensor& x1, const at::Tensor& c1, const at::Tensor& x0, const at::Tensor& c0);

/// (N): squared error of each sample, mean over its elements. Differentiable in `prediction`.
at::Tensor squared_error_per_sample(const at::Tensor& prediction, const at::Tensor& target);

}  // namespace pathline::flow

// SPDX-License-Identifier: Apache-2.0
// Convolutions of 3 x 3 places by Winograd's minimal filtering, F(2 x 2, 3 x 3), in fp32 on the host: 16 products for
// four places of the result where the sum as it is written takes 36. Lavin and Gray, "Fast algorithms for convolutional
// neural networks" (2016), section 4.1, whose B, G and A are meant here.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace pathline::model {

/// Whether the functions below take x (N, in, H, W) and weight (out, in, k, k). The number of samples has no say.
bool can_filter_minimally(const at::Tensor& x, const at::Tensor& weight, std::int64_t stride);

/// y (N, out, H, W), channels last, for x likewise; weight and bias (out) contiguous.
at::Tensor winograd_convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// The gradient of x from d, that of y.
at::Tensor winograd_input_gradient(const at::Tensor& d, const at::Tensor& weight);

struct FilterGradients {
  at::Tensor weight, bias;
};
FilterGradients winograd_filter_gradients(const at::Tensor& x, const at::Tensor& d);

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
// Convolutions on the host with the channels of a place side by side in memory (NHWC, "channels last"): first
// derivatives only.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace pathline::model {

/// Whether host_convolution() and the other channels-last layers take x: fp32 or bf16 on the host.
bool is_host_map(const at::Tensor& x);

/// x (N, in, H, W), weight (out, in, k, k) contiguous, bias (out), of one type; "same" padding. The result is channels
/// last, the weight's gradient contiguous.
at::Tensor host_convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, std::int64_t stride);

}  // namespace pathline::model

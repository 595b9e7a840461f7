// SPDX-License-Identifier: Apache-2.0
// From host memory to the device that computes.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace pathline::flow {

/// `host` itself where it is on `device` already; for a GPU a copy, by way of pinned memory and in the order of the
/// current stream: the caller does not wait, and `host` may change once this returns.
at::Tensor sent_to(const at::Tensor& host, at::Device device);

}  // namespace pathline::flow

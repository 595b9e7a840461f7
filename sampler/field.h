// SPDX-License-Identifier: Apache-2.0
// The velocity field as solvers see it: rows at their own times.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace pathline::sampler {

/// v(x, t, labels): x (S, ...), t (S) flow time, labels (S) int64 (undefined where unconditional). x and t are fp32 in
/// generation; an engine of its own may be of another type. Returns x's shape. One call is one network forward pass a
/// row. Tensors lie on the CPU, wherever the network computes.
using Field = std::function<at::Tensor(const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels)>;

}  // namespace pathline::sampler

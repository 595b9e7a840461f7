// SPDX-License-Identifier: Apache-2.0
// Attention of tokens among themselves as one node of autograd, on the host in blocks (attention_kernel.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace pathline::model {

/// softmax(q k^T / sqrt(w)) v for every head. qkv (N, T, 3 D): q, k, v, and in each the heads, w = D / heads numbers
/// one after the other -> (N, T, D). First derivatives only on the host; plain ATen elsewhere.
at::Tensor self_attention(const at::Tensor& qkv, std::int64_t heads);

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
// One half of an adaLN transformer block on the host: x + gate second(inner(first(LN(x) (1 + scale) + shift))), where
// inner is attention or GELU. Forward and backward without autograd.
//
// Note [What fusing saves]
// Plain ATen passes over (N, T, D) some forty times for one block and its gradients, beside the matrix products. Here a
// chunk of 64 rows goes from norm to residual while it is in cache, and each of its gradients comes back the same way;
// only what the backward pass needs is written to memory, at once in the layout in which its products want it.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/layers.h"

namespace pathline::model {

/// What the gradient of a half needs. D hidden, W the MLP's width, M all tokens (each sample padded to an even number
/// in bf16); "right" is the layout of a right-hand side (block_product.h).
struct Half {
  at::Tensor x, modulation;  // (N, T, D); (N, 3 D): shift, scale, gate
  at::Tensor first_weight, second_weight;
  at::Tensor normed;      // (D, M): first's input, transposed
  at::Tensor mean, rstd;  // (N, T) fp32
  at::Tensor inner;       // attention: q, k, v (N, T, 3 D). MLP: GELU' (N, T, W)
  at::Tensor middle;      // second's input. Attention: (N, T, D). MLP: (M, W) right
  at::Tensor softmax;     // attention: peak and share (2, N, heads, T) fp32
  at::Tensor branch;      // what is gated (N, T, D)

  std::vector<at::Tensor> list() const;
  static Half of(const std::vector<at::Tensor>& tensors);
};

/// The half's output. `heads` is 0 for the MLP. What the gradient needs is left in `kept`, where given.
at::Tensor half_block_forward(const at::Tensor& x, const at::Tensor& modulation, const Linear& first,
                              const Linear& second, std::int64_t heads, Half* kept);

/// Gradients of x, modulation, first's weight and bias, second's weight and bias from d, that of the output.
std::vector<at::Tensor> half_block_backward(const Half& half, const at::Tensor& d);

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
#include "model/self_attention.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/attention_kernel.h"
#include "model/first_derivatives.h"
#include "model/fused.h"
#include "model/token_chunks.h"

namespace pathline::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

HeadSize head_size(const at::Tensor& qkv, std::int64_t heads) {
  const std::int64_t hidden = qkv.size(2) / 3;
  return {qkv.size(1), hidden / heads, 3 * hidden, hidden};
}

struct SelfAttention : torch::autograd::Function<SelfAttention> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& any_qkv, std::int64_t heads) {
    const at::Tensor qkv = any_qkv.contiguous();
    const HeadSize size = head_size(qkv, heads);
    const std::int64_t n = qkv.size(0);
    const at::Tensor out = at::empty({n, size.tokens, size.distance}, qkv.options());
    const at::Tensor softmax = at::empty({2, n * heads, size.tokens}, qkv.options().dtype(at::kFloat));  // peak, share
    float *peak = softmax.mutable_data_ptr<float>(), *share = peak + softmax.stride(0);
    by_type(qkv, [&](auto zero) {
      using E = decltype(zero);
      each_task(n * heads, [&](std::int64_t i, Arena& arena) {
        const std::int64_t at = i / heads * size.tokens, column = i % heads * size.width, place = i * size.tokens;
        attention_forward<E>(size, token<E>(qkv, at) + column, new_token<E>(out, at) + column, peak + place,
                             share + place, arena);
      });
    });
    context->save_for_backward({qkv, out, softmax});
    context->saved_data["heads"] = heads;
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    refuse_second_derivatives();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &qkv = saved[0], &out = saved[1], &softmax = saved[2], d = gradients[0].contiguous();
    const std::int64_t heads = context->saved_data["heads"].toInt(), n = qkv.size(0);
    const HeadSize size = head_size(qkv, heads);
    const at::Tensor dqkv = at::empty_like(qkv),
                     sums = at::zeros({n, qkv.size(2)}, softmax.options());  // over tokens: unused
    const float *peak = softmax.const_data_ptr<float>(), *share = peak + softmax.stride(0);
    by_type(qkv, [&](auto zero) {
      using E = decltype(zero);
      each_task(n * heads, [&](std::int64_t i, Arena& arena) {
        const std::int64_t sample = i / heads, at = sample * size.tokens, column = i % heads * size.width;
        attention_backward<E>(size, token<E>(d, at) + column, token<E>(qkv, at) + column, token<E>(out, at) + column,
                              peak + i * size.tokens, share + i * size.tokens, new_token<E>(dqkv, at) + column,
                              new_token<float>(sums, sample) + column, arena);
      });
    });
    return {dqkv, at::Tensor()};
  }
};

}  // namespace

at::Tensor self_attention(const at::Tensor& qkv, std::int64_t heads) {
  const std::int64_t n = qkv.size(0), tokens = qkv.size(1), hidden = qkv.size(2) / 3, width = hidden / heads;
  if (can_fuse(qkv, width, width)) return SelfAttention::apply(qkv, heads);
  const auto parts =
      qkv.view({n, tokens, 3, heads, width}).permute({2, 0, 3, 1, 4}).unbind(0);  // each (N, heads, T, w)
  return at::scaled_dot_product_attention(parts[0], parts[1], parts[2]).transpose(1, 2).reshape({n, tokens, hidden});
}

}  // namespace pathline::model

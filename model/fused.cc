// SPDX-License-Identifier: Apache-2.0
//
// Note [What fusing saves]
// Plain ATen passes over (N, T, D) some forty times for one block and its gradients, beside the matrix products. Here a
// block of 64 rows goes from norm to residual while it is in cache, and each of its gradients comes back the same way;
// only what the backward pass needs is written to memory.
#include "model/fused.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/error.h"
#include "model/attention_kernel.h"
#include "model/block_product.h"
#include "model/fused_kernels.h"
#include "model/gpu_passes.h"

namespace pathline::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr std::int64_t kColumns = 256;  // of a product in one go: the fp32 block stays in the second-level cache

template <class Body>
auto by_type(const at::Tensor& x, const Body& body) {
  return x.scalar_type() == at::kFloat ? body(float{}) : body(c10::BFloat16{});
}

/// Rows of one sample that are worked on together.
struct Chunk {
  std::int64_t sample, first, rows;
};

/// x (N, T, D) cut into chunks; a chunk never spans two samples.
struct Chunks {
  explicit Chunks(const at::Tensor& x)
      : samples(x.size(0)), tokens(x.size(1)), width(x.size(2)), per_sample((tokens + kBlockRows - 1) / kBlockRows) {}

  std::int64_t count() const { return samples * per_sample; }
  Chunk operator[](std::int64_t index) const {
    const std::int64_t sample = index / per_sample, row = index % per_sample * kBlockRows;
    return {sample, sample * tokens + row, std::min(kBlockRows, tokens - row)};
  }

  std::int64_t samples, tokens, width, per_sample;
};

/// Sums over the rows of every chunk: (chunks, width) fp32.
class ChunkSums {
 public:
  ChunkSums(const Chunks& chunks, std::int64_t width)
      : chunks_(chunks), width_(width), memory_(workspace<float>(chunks.count() * width)) {}

  float* at(std::int64_t chunk, std::int64_t column) { return memory_.get() + chunk * width_ + column; }

  /// Columns [column, column + width) per sample: (N, width).
  template <class E>
  at::Tensor per_sample(std::int64_t column, std::int64_t width, const at::Tensor& like) {
    at::Tensor result = at::empty({chunks_.samples, width}, like.options());
    for (std::int64_t n = 0; n < chunks_.samples; ++n) {
      sum_rows<E>({chunks_.per_sample, width}, at(n * chunks_.per_sample, column), width_,
                  result.mutable_data_ptr<E>() + n * width);
    }
    return result;
  }
  /// The same over all samples: (width).
  template <class E>
  at::Tensor over_all(std::int64_t column, std::int64_t width, const at::Tensor& like) {
    at::Tensor result = at::empty({width}, like.options());
    sum_rows<E>({chunks_.count(), width}, at(0, column), width_, result.mutable_data_ptr<E>());
    return result;
  }

 private:
  Chunks chunks_;
  std::int64_t width_;
  Workspace<float> memory_;
};

/// Row `i` of a matrix whose rows are contiguous in themselves.
template <class E>
const E* row(const at::Tensor& x, std::int64_t i) {
  return x.const_data_ptr<E>() + i * x.stride(0);
}

/// The numbers of token `i` of x (N, T, width), contiguous.
template <class E>
const E* token(const at::Tensor& x, std::int64_t i) {
  return x.const_data_ptr<E>() + i * x.size(-1);
}
template <class E>
E* new_token(at::Tensor& x, std::int64_t i) {
  return x.defined() ? x.mutable_data_ptr<E>() + i * x.size(-1) : nullptr;
}

at::Tensor empty_rows(const at::Tensor& x, std::int64_t width) { return at::empty({x.size(0), x.size(1), width}, x.options()); }
at::Tensor flat(const at::Tensor& x) { return x.view({-1, x.size(-1)}); }
at::Tensor dense_rows(const at::Tensor& x) { return x.stride(-1) == 1 ? x : x.contiguous(); }

void refuse_second_derivatives() {
  PL_CHECK(!at::GradMode::is_enabled(), core::ExitCode::kUsage,
           "second derivatives of a transformer are not available (its fused layers give first derivatives only). Use "
           "an MLP for objectives that differentiate a divergence.");
}

/// LN(x) (1 + scale) + shift of all tokens, with what its gradient needs. mean, rstd (N, T) are fp32.
struct Normed {
  explicit Normed(const at::Tensor& x)
      : out(at::empty_like(x)), mean(at::empty({x.size(0), x.size(1)}, x.options().dtype(at::kFloat))),
        rstd(at::empty_like(mean)) {}

  /// modulation (N, at least 2 D): shift, scale.
  template <class E>
  void compute(const Chunk& at, const at::Tensor& x, const E* shift, const E* scale) {
    modulated_norm_forward<E>({at.rows, x.size(2)}, token<E>(x, at.first), shift, scale, new_token<E>(out, at.first),
                              mean.mutable_data_ptr<float>() + at.first, rstd.mutable_data_ptr<float>() + at.first);
  }

  at::Tensor out, mean, rstd;
};

struct ModulatedNorm : Function<ModulatedNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_any, const at::Tensor& shift_any,
                            const at::Tensor& scale_any) {
    const at::Tensor x = x_any.contiguous(), shift = dense_rows(shift_any), scale = dense_rows(scale_any);
    Normed normed(x);
    by_type(x, [&](auto zero) {
      using E = decltype(zero);
      const Chunks chunks(x);
      each_task(chunks.count(), [&](std::int64_t i) {
        const Chunk at = chunks[i];
        normed.compute<E>(at, x, row<E>(shift, at.sample), row<E>(scale, at.sample));
      });
    });
    context->save_for_backward({x, scale, normed.mean, normed.rstd});
    return normed.out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    refuse_second_derivatives();
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &scale = saved[1], d = gradients[0].contiguous();
    return by_type(x, [&](auto zero) -> variable_list {
      using E = decltype(zero);
      const Chunks chunks(x);
      const std::int64_t width = chunks.width;
      at::Tensor dx = at::empty_like(x);
      ChunkSums sums(chunks, 2 * width);
      each_task(chunks.count(), [&](std::int64_t i) {
        const Chunk at = chunks[i];
        modulated_norm_backward<E, E>({at.rows, width}, token<E>(d, at.first), token<E>(x, at.first),
                                      row<E>(scale, at.sample), saved[2].const_data_ptr<float>() + at.first,
                                      saved[3].const_data_ptr<float>() + at.first, nullptr, new_token<E>(dx, at.first),
                                      sums.at(i, 0), sums.at(i, width));
      });
      return {dx, sums.per_sample<E>(0, width, x), sums.per_sample<E>(width, width, x)};
    });
  }
};

/// What the gradient of a half needs. modulation (N, 3 D): shift, scale, gate.
struct Half {
  at::Tensor x, modulation, first_weight, second_weight;
  at::Tensor normed, mean, rstd;     // LN(x) (1 + scale) + shift
  at::Tensor inner, middle, factor;  // attention: q, k, v (N, T, 3 D); its output; (2, N, heads, T) of softmax.
                                     // MLP: GELU' (N, T, W); GELU; nothing
  at::Tensor branch;                 // what is gated (N, T, D)

  variable_list list() const {
    return {x, modulation, first_weight, second_weight, normed, mean, rstd, inner, middle, factor, branch};
  }
  static Half of(const variable_list& v) { return {v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10]}; }
};

/// out = x + gate (middle W^T + bias) of a chunk; `tile` (rows, D).
template <class E>
void close(const Chunk& at, Half& half, const RightHandSide<E>& weight, const E* bias, float* tile, at::Tensor& out) {
  const std::int64_t width = out.size(2);
  weight.multiply(at.rows, token<E>(half.middle, at.first), 0, width, tile);
  gated_residual_forward<E>({at.rows, width}, token<E>(half.x, at.first), row<E>(half.modulation, at.sample) + 2 * width,
                            tile, bias, new_token<E>(half.branch, at.first), new_token<E>(out, at.first));
}

/// The way back of close(): the gradient of `branch`, and the sums for gate (column 2 D) and bias (column 3 D).
template <class E>
void open(const Chunk& at, std::int64_t i, const Half& half, const at::Tensor& d, at::Tensor& d_branch, ChunkSums& sums) {
  const std::int64_t width = d.size(2);
  gated_residual_backward<E>({at.rows, width}, token<E>(d, at.first), row<E>(half.modulation, at.sample) + 2 * width,
                             token<E>(half.branch, at.first), new_token<E>(d_branch, at.first), sums.at(i, 2 * width),
                             sums.at(i, 3 * width));
}

/// The way back to x: d_inner W through the norm, plus d; the sums for shift (column 0) and scale (column D).
template <class E>
void finish(const Chunk& at, std::int64_t i, const Half& half, const RightHandSide<E>& weight, const at::Tensor& d_inner,
            const at::Tensor& d, float* tile, at::Tensor& dx, ChunkSums& sums) {
  const std::int64_t width = d.size(2);
  weight.multiply(at.rows, token<E>(d_inner, at.first), 0, width, tile);
  modulated_norm_backward<E, float>({at.rows, width}, tile, token<E>(half.x, at.first),
                                    row<E>(half.modulation, at.sample) + width,
                                    half.mean.const_data_ptr<float>() + at.first,
                                    half.rstd.const_data_ptr<float>() + at.first, token<E>(d, at.first),
                                    new_token<E>(dx, at.first), sums.at(i, 0), sums.at(i, width));
}

template <class E>
at::Tensor mlp_forward(Half& half, const at::Tensor& first_bias, const at::Tensor& second_bias, bool keep) {
  const at::Tensor& x = half.x;
  const Chunks chunks(x);
  const std::int64_t width = chunks.width, wide = half.first_weight.size(0);
  const auto widen = RightHandSide<E>::transposed(half.first_weight), narrow = RightHandSide<E>::transposed(half.second_weight);
  Normed normed(x);
  at::Tensor out = at::empty_like(x);
  half.middle = empty_rows(x, wide);
  if (keep) half.inner = at::empty_like(half.middle), half.branch = at::empty_like(x);
  each_task(chunks.count(), [&](std::int64_t i) {
    const Chunk at = chunks[i];
    const E* shift = row<E>(half.modulation, at.sample);
    const auto tile = workspace<float>(at.rows * std::max(kColumns, width));
    normed.compute<E>(at, x, shift, shift + width);
    for (std::int64_t column = 0; column < wide; column += kColumns) {
      const std::int64_t columns = std::min(kColumns, wide - column);
      widen.multiply(at.rows, token<E>(normed.out, at.first), column, columns, tile.get());
      gelu_forward<E>({at.rows, columns}, tile.get(), first_bias.const_data_ptr<E>() + column,
                      new_token<E>(half.middle, at.first) + column,
                      keep ? new_token<E>(half.inner, at.first) + column : nullptr, wide);
    }
    close(at, half, narrow, second_bias.const_data_ptr<E>(), tile.get(), out);
  });
  half.normed = normed.out, half.mean = normed.mean, half.rstd = normed.rstd;
  return out;
}

/// Gradients of x, modulation, the first layer's weight and bias, the second's.
template <class E>
variable_list mlp_backward(const Half& half, const at::Tensor& d) {
  const Chunks chunks(half.x);
  const std::int64_t width = chunks.width, wide = half.inner.size(2);
  const auto first = RightHandSide<E>::as_is(half.first_weight), second = RightHandSide<E>::as_is(half.second_weight);
  at::Tensor dx = at::empty_like(d), d_branch = at::empty_like(d), d_inner = at::empty_like(half.inner);
  ChunkSums sums(chunks, 4 * width + wide);
  each_task(chunks.count(), [&](std::int64_t i) {
    const Chunk at = chunks[i];
    const auto tile = workspace<float>(at.rows * std::max(kColumns, width));
    open<E>(at, i, half, d, d_branch, sums);
    for (std::int64_t column = 0; column < wide; column += kColumns) {
      const std::int64_t columns = std::min(kColumns, wide - column);
      second.multiply(at.rows, token<E>(d_branch, at.first), column, columns, tile.get());
      gelu_backward<E>({at.rows, columns}, tile.get(), token<E>(half.inner, at.first) + column,
                       new_token<E>(d_inner, at.first) + column, wide, sums.at(i, 4 * width + column));
    }
    finish(at, i, half, first, d_inner, d, tile.get(), dx, sums);
  });
  return {dx, sums.per_sample<E>(0, 3 * width, d), weight_gradient(flat(d_inner), flat(half.normed)),
          sums.over_all<E>(4 * width, wide, d), weight_gradient(flat(d_branch), flat(half.middle)),
          sums.over_all<E>(3 * width, width, d)};
}

HeadSize head_size(const Chunks& chunks, std::int64_t heads) {
  return {chunks.tokens, chunks.width / heads, 3 * chunks.width, chunks.width};
}

/// peak and share of softmax for head `head` of sample `n`; factor (2, N, heads, T) fp32.
float* softmax_part(const at::Tensor& factor, std::int64_t part, std::int64_t index) {
  return factor.mutable_data_ptr<float>() + (part * factor.size(1) * factor.size(2) + index) * factor.size(3);
}

template <class E>
at::Tensor attention_half_forward(Half& half, const at::Tensor& first_bias, const at::Tensor& second_bias,
                                  std::int64_t heads, bool keep) {
  const at::Tensor& x = half.x;
  const Chunks chunks(x);
  const std::int64_t width = chunks.width;
  const auto qkv = RightHandSide<E>::transposed(half.first_weight), projection = RightHandSide<E>::transposed(half.second_weight);
  Normed normed(x);
  at::Tensor out = at::empty_like(x);
  half.inner = empty_rows(x, 3 * width);
  half.middle = at::empty_like(x);
  half.factor = at::empty({2, chunks.samples, heads, chunks.tokens}, normed.mean.options());
  if (keep) half.branch = at::empty_like(x);
  each_task(chunks.count(), [&](std::int64_t i) {
    const Chunk at = chunks[i];
    const E* shift = row<E>(half.modulation, at.sample);
    const auto tile = workspace<float>(at.rows * kColumns);
    normed.compute<E>(at, x, shift, shift + width);
    for (std::int64_t column = 0; column < 3 * width; column += kColumns) {
      const std::int64_t columns = std::min(kColumns, 3 * width - column);
      qkv.multiply(at.rows, token<E>(normed.out, at.first), column, columns, tile.get());
      write_rows<E>({at.rows, columns}, tile.get(), first_bias.const_data_ptr<E>() + column,
                    new_token<E>(half.inner, at.first) + column, 3 * width);
    }
  });
  const HeadSize size = head_size(chunks, heads);
  each_task(chunks.samples * heads, [&](std::int64_t i) {
    const std::int64_t first = i / heads * chunks.tokens, column = i % heads * size.width;
    attention_forward<E>(size, token<E>(half.inner, first) + column, new_token<E>(half.middle, first) + column,
                         softmax_part(half.factor, 0, i), softmax_part(half.factor, 1, i));
  });
  each_task(chunks.count(), [&](std::int64_t i) {
    const auto tile = workspace<float>(chunks[i].rows * width);
    close(chunks[i], half, projection, second_bias.const_data_ptr<E>(), tile.get(), out);
  });
  half.normed = normed.out, half.mean = normed.mean, half.rstd = normed.rstd;
  return out;
}

template <class E>
variable_list attention_half_backward(const Half& half, const at::Tensor& d) {
  const Chunks chunks(half.x);
  const std::int64_t width = chunks.width, heads = half.factor.size(2);
  const auto first = RightHandSide<E>::as_is(half.first_weight), second = RightHandSide<E>::as_is(half.second_weight);
  at::Tensor dx = at::empty_like(d), d_branch = at::empty_like(d), d_middle = at::empty_like(d), d_inner = at::empty_like(half.inner);
  ChunkSums sums(chunks, 4 * width);
  each_task(chunks.count(), [&](std::int64_t i) {
    const Chunk at = chunks[i];
    const auto tile = workspace<float>(at.rows * width);
    open<E>(at, i, half, d, d_branch, sums);
    second.multiply(at.rows, token<E>(d_branch, at.first), 0, width, tile.get());
    write_rows<E>({at.rows, width}, tile.get(), nullptr, new_token<E>(d_middle, at.first), width);
  });
  const HeadSize size = head_size(chunks, heads);
  at::Tensor sample_sums = at::zeros({chunks.samples, 3 * width}, half.mean.options());  // of q, k, v over tokens
  each_task(chunks.samples * heads, [&](std::int64_t i) {
    const std::int64_t n = i / heads, at = n * chunks.tokens, column = i % heads * size.width;
    attention_backward<E>(size, token<E>(d_middle, at) + column, token<E>(half.inner, at) + column,
                          token<E>(half.middle, at) + column, softmax_part(half.factor, 0, i),
                          softmax_part(half.factor, 1, i), new_token<E>(d_inner, at) + column,
                          new_token<float>(sample_sums, n) + column);
  });
  each_task(chunks.count(), [&](std::int64_t i) {
    const auto tile = workspace<float>(chunks[i].rows * width);
    finish(chunks[i], i, half, first, d_inner, d, tile.get(), dx, sums);
  });
  at::Tensor d_bias = at::empty({3 * width}, d.options());
  sum_rows<E>({chunks.samples, 3 * width}, sample_sums.const_data_ptr<float>(), 3 * width, d_bias.mutable_data_ptr<E>());
  return {dx, sums.per_sample<E>(0, 3 * width, d), weight_gradient(flat(d_inner), flat(half.normed)), d_bias,
          weight_gradient(flat(d_branch), flat(half.middle)), sums.over_all<E>(3 * width, width, d)};
}

Half half_of(const at::Tensor& x, const at::Tensor& modulation, const at::Tensor& first, const at::Tensor& second) {
  Half half;
  half.x = x.contiguous(), half.modulation = dense_rows(modulation);
  half.first_weight = first, half.second_weight = second;
  return half;
}

/// `heads` 0: the MLP's half. `keep`: what the gradient needs stays in `half`.
at::Tensor run_half(Half& half, const at::Tensor& first_bias, const at::Tensor& second_bias, std::int64_t heads, bool keep) {
  return by_type(half.x, [&](auto zero) {
    using E = decltype(zero);
    return heads == 0 ? mlp_forward<E>(half, first_bias, second_bias, keep)
                      : attention_half_forward<E>(half, first_bias, second_bias, heads, keep);
  });
}

struct HalfBlock : Function<HalfBlock> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& modulation,
                            const at::Tensor& first_weight, const at::Tensor& first_bias,
                            const at::Tensor& second_weight, const at::Tensor& second_bias, std::int64_t heads) {
    Half half = half_of(x, modulation, first_weight, second_weight);
    const at::Tensor out = run_half(half, first_bias, second_bias, heads, true);
    context->save_for_backward(half.list());
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    refuse_second_derivatives();
    const Half half = Half::of(context->get_saved_variables());
    const at::Tensor d = gradients[0].contiguous();
    variable_list results = by_type(d, [&](auto zero) {
      using E = decltype(zero);
      return half.factor.defined() ? attention_half_backward<E>(half, d) : mlp_backward<E>(half, d);
    });
    results.emplace_back();  // heads
    return results;
  }
};

at::Tensor half_block(const at::Tensor& x, const at::Tensor& modulation, const Linear& first, const Linear& second,
                      std::int64_t heads) {
  if (at::GradMode::is_enabled()) {
    return HalfBlock::apply(x, modulation, first.weight, first.bias, second.weight, second.bias, heads);
  }
  Half half = half_of(x, modulation, first.weight, second.weight);
  return run_half(half, first.bias, second.bias, heads, false);
}

}  // namespace

at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale) {
  if (x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16)) {
    return ModulatedNorm::apply(x, shift, scale);
  }
  const bool one_type = shift.scalar_type() == x.scalar_type() && scale.scalar_type() == x.scalar_type();
  if (one_type && has_gpu_passes(x)) return gpu_modulated_norm(x, shift, scale);
  const at::Tensor normed = at::layer_norm(x, {x.size(-1)}, {}, {}, 1e-6);
  return at::addcmul(shift.unsqueeze(1), normed, scale.unsqueeze(1) + 1.0);
}

at::Tensor gated_residual(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& y) {
  const bool one_type = gate.scalar_type() == x.scalar_type() && y.scalar_type() == x.scalar_type();
  return one_type && has_gpu_passes(x) ? gpu_gated_residual(x, gate, y) : at::addcmul(x, gate.unsqueeze(1), y);
}

bool can_fuse(const at::Tensor& x, std::int64_t head_width, std::int64_t mlp_width) {
  const bool even = head_width % 2 == 0 && mlp_width % 2 == 0;
  return x.is_cpu() && has_block_products(x.scalar_type()) && (even || x.scalar_type() == at::kFloat);
}

at::Tensor fused_attention(const at::Tensor& x, const at::Tensor& modulation, const Linear& qkv,
                           const Linear& projection, std::int64_t heads) {
  return half_block(x, modulation, qkv, projection, heads);
}

at::Tensor fused_mlp(const at::Tensor& x, const at::Tensor& modulation, const Linear& widen, const Linear& narrow) {
  return half_block(x, modulation, widen, narrow, 0);
}

}  // namespace pathline::model

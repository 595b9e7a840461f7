// SPDX-License-Identifier: Apache-2.0
#include "model/half_block.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include "model/attention_kernel.h"
#include "model/layout_kernels.h"
#include "model/token_chunks.h"

namespace pathline::model {
namespace {

using c10::BFloat16;

at::Tensor empty_rows(const at::Tensor& x, std::int64_t width) {
  return at::empty({x.size(0), x.size(1), width}, x.options());
}

/// Rows (rows, width) of a chunk as columns of `to` (width, M).
template <class E>
void put_turned(const Chunk& at, const E* rows, const at::Tensor& to) {
  const std::int64_t width = to.size(0), depth = to.size(1), end = at.place + at.rows;
  E* out = to.mutable_data_ptr<E>();
  transpose<E, E>({at.rows, width}, rows, width, out + at.place, depth);
  if (terms<E>(at.rows) > at.rows) {
    for (std::int64_t i = 0; i < width; ++i) out[i * depth + end] = 0.0f;
  }
}

/// Rows of a chunk in `to` (M, width), a right-hand side. fp32 rows may have been written there at once: right_rows().
void put_right(const Chunk& at, const BFloat16* rows, const at::Tensor& to) {
  interleave({at.rows, to.size(1)}, rows, to.size(1), new_token<BFloat16>(to, at.place));
}
void put_right(const Chunk&, const float*, const at::Tensor&) {}

/// Where rows that shall become part of `to` are computed.
BFloat16* right_rows(const Chunk& at, const at::Tensor& to, Arena& arena, BFloat16) {
  return arena.take<BFloat16>(at.rows * to.size(1));
}
float* right_rows(const Chunk& at, const at::Tensor& to, Arena&, float) { return new_token<float>(to, at.first); }

/// One direction of one half: the chunks, and what every step of it needs.
template <class E>
class Forward {
 public:
  Forward(const at::Tensor& x, const at::Tensor& modulation, const Linear& first, const Linear& second, bool keep)
      : chunks_(x),
        width_(chunks_.width),
        keep_(keep),
        first_(RightHandSide<E>::transposed(first.weight)),
        second_(RightHandSide<E>::transposed(second.weight)),
        first_bias_(first.bias.const_data_ptr<E>()),
        second_bias_(second.bias.const_data_ptr<E>()),
        out_(at::empty_like(x)) {
    half_.x = x, half_.modulation = modulation, half_.first_weight = first.weight, half_.second_weight = second.weight;
    half_.mean = at::empty({x.size(0), x.size(1)}, x.options().dtype(at::kFloat));
    half_.rstd = at::empty_like(half_.mean);
    if (keep) half_.normed = at::empty({width_, chunks_.depth()}, x.options()), half_.branch = at::empty_like(x);
  }

  at::Tensor mlp() {
    const std::int64_t wide = half_.first_weight.size(0);
    if (keep_) {
      half_.inner = empty_rows(half_.x, wide);
      half_.middle = at::empty({chunks_.depth(), wide}, half_.x.options());
    }
    each_task(chunks_.count(), [&](std::int64_t i, Arena& arena) {
      const Chunk at = chunks_[i];
      const E* normed = norm(at, arena);
      E* middle = keep_ ? right_rows(at, half_.middle, arena, E{}) : arena.take<E>(at.rows * wide);
      E* slope = keep_ ? new_token<E>(half_.inner, at.first) : nullptr;
      float* tile = arena.take<float>(at.rows * std::max(kColumns, width_));
      for (std::int64_t column = 0; column < wide; column += kColumns) {
        const std::int64_t columns = std::min(kColumns, wide - column);
        first_.multiply(at.rows, normed, column, columns, tile);
        gelu_forward<E>({at.rows, columns}, tile, first_bias_ + column, middle + column,
                        keep_ ? slope + column : nullptr, wide);
      }
      if (keep_) put_right(at, middle, half_.middle);
      close(at, middle, tile);
    });
    return out_;
  }

  at::Tensor attention(std::int64_t heads) {
    half_.inner = empty_rows(half_.x, 3 * width_);
    half_.middle = at::empty_like(half_.x);
    half_.softmax = at::empty({2, chunks_.samples, heads, chunks_.tokens}, half_.mean.options());
    each_task(chunks_.count(), [&](std::int64_t i, Arena& arena) {
      const Chunk at = chunks_[i];
      const E* normed = norm(at, arena);
      float* tile = arena.take<float>(at.rows * kColumns);
      for (std::int64_t column = 0; column < 3 * width_; column += kColumns) {
        const std::int64_t columns = std::min(kColumns, 3 * width_ - column);
        first_.multiply(at.rows, normed, column, columns, tile);
        write_rows<E>({at.rows, columns}, tile, first_bias_ + column, new_token<E>(half_.inner, at.first) + column,
                      3 * width_);
      }
    });
    const HeadSize size{chunks_.tokens, width_ / heads, 3 * width_, width_};
    float *peak = half_.softmax.template mutable_data_ptr<float>(), *share = peak + half_.softmax.stride(0);
    each_task(chunks_.samples * heads, [&](std::int64_t i, Arena& arena) {
      const std::int64_t at = i / heads * chunks_.tokens, column = i % heads * size.width, place = i * chunks_.tokens;
      attention_forward<E>(size, token<E>(half_.inner, at) + column, new_token<E>(half_.middle, at) + column,
                           peak + place, share + place, arena);
    });
    each_task(chunks_.count(), [&](std::int64_t i, Arena& arena) {
      const Chunk at = chunks_[i];
      close(at, token<E>(half_.middle, at.first), arena.take<float>(at.rows * width_));
    });
    return out_;
  }

  const Half& half() const { return half_; }

 private:
  /// LN(x) (1 + scale) + shift of a chunk.
  const E* norm(const Chunk& at, Arena& arena) {
    const E* shift = row<E>(half_.modulation, at.sample);
    E* normed = arena.take<E>(at.rows * width_);
    modulated_norm_forward<E>({at.rows, width_}, token<E>(half_.x, at.first), shift, shift + width_, normed,
                              half_.mean.template mutable_data_ptr<float>() + at.first,
                              half_.rstd.template mutable_data_ptr<float>() + at.first);
    if (keep_) put_turned(at, normed, half_.normed);
    return normed;
  }

  /// out = x + gate second(middle) of a chunk; `tile` (rows, D).
  void close(const Chunk& at, const E* middle, float* tile) {
    second_.multiply(at.rows, middle, 0, width_, tile);
    gated_residual_forward<E>({at.rows, width_}, token<E>(half_.x, at.first),
                              row<E>(half_.modulation, at.sample) + 2 * width_, tile, second_bias_,
                              keep_ ? new_token<E>(half_.branch, at.first) : nullptr, new_token<E>(out_, at.first));
  }

  Chunks chunks_;
  std::int64_t width_;
  bool keep_;
  RightHandSide<E> first_, second_;
  const E *first_bias_, *second_bias_;
  at::Tensor out_;
  Half half_;
};

template <class E>
class Backward {
 public:
  Backward(const Half& half, const at::Tensor& d)
      : half_(half),
        d_(d),
        chunks_(d),
        width_(chunks_.width),
        inner_(half.first_weight.size(0)),
        first_(RightHandSide<E>::as_is(half.first_weight)),
        second_(RightHandSide<E>::as_is(half.second_weight)),
        dx_(at::empty_like(d)),
        d_branch_(at::empty({width_, chunks_.depth()}, d.options())),
        d_inner_(at::empty({chunks_.depth(), inner_}, d.options())),
        sums_(chunks_, 4 * width_ + inner_) {}

  std::vector<at::Tensor> mlp() {
    each_task(chunks_.count(), [&](std::int64_t i, Arena& arena) {
      const Chunk at = chunks_[i];
      const E* d_branch = open(at, i, arena);
      E* d_inner = right_rows(at, d_inner_, arena, E{});
      float* tile = arena.take<float>(at.rows * std::max(kColumns, width_));
      for (std::int64_t column = 0; column < inner_; column += kColumns) {
        const std::int64_t columns = std::min(kColumns, inner_ - column);
        second_.multiply(at.rows, d_branch, column, columns, tile);
        gelu_backward<E>({at.rows, columns}, tile, token<E>(half_.inner, at.first) + column, d_inner + column, inner_,
                         sums_.at(i, 4 * width_ + column));
      }
      put_right(at, d_inner, d_inner_);
      finish(at, i, d_inner, tile);
    });
    return results(sums_.template over_all<E>(4 * width_, inner_, d_), half_.middle);
  }

  std::vector<at::Tensor> attention() {
    const std::int64_t heads = half_.softmax.size(2);
    const bool pairs = std::is_same_v<E, BFloat16>;
    at::Tensor d_middle = at::empty_like(d_), d_qkv = pairs ? at::empty_like(half_.inner) : d_inner_;
    at::Tensor middle = pairs ? at::empty({chunks_.depth(), width_}, d_.options()) : half_.middle.flatten(0, 1);
    each_task(chunks_.count(), [&](std::int64_t i, Arena& arena) {
      const Chunk at = chunks_[i];
      const E* d_branch = open(at, i, arena);
      float* tile = arena.take<float>(at.rows * width_);
      second_.multiply(at.rows, d_branch, 0, width_, tile);
      write_rows<E>({at.rows, width_}, tile, nullptr, new_token<E>(d_middle, at.first), width_);
      put_right(at, token<E>(half_.middle, at.first), middle);
    });
    const HeadSize size{chunks_.tokens, width_ / heads, 3 * width_, width_};
    const float *peak = half_.softmax.const_data_ptr<float>(), *share = peak + half_.softmax.stride(0);
    at::Tensor bias = at::zeros({chunks_.samples, inner_}, half_.mean.options());  // sums over a sample's tokens
    each_task(chunks_.samples * heads, [&](std::int64_t i, Arena& arena) {
      const std::int64_t n = i / heads, at = n * chunks_.tokens, column = i % heads * size.width;
      attention_backward<E>(size, token<E>(d_middle, at) + column, token<E>(half_.inner, at) + column,
                            token<E>(half_.middle, at) + column, peak + i * chunks_.tokens, share + i * chunks_.tokens,
                            new_token<E>(d_qkv, at) + column, new_token<float>(bias, n) + column, arena);
    });
    each_task(chunks_.count(), [&](std::int64_t i, Arena& arena) {
      const Chunk at = chunks_[i];
      const E* d_inner = token<E>(d_qkv, at.first);
      put_right(at, d_inner, d_inner_);
      finish(at, i, d_inner, arena.take<float>(at.rows * width_));
    });
    at::Tensor d_bias = at::empty({inner_}, d_.options());
    sum_rows<E>({chunks_.samples, inner_}, bias.const_data_ptr<float>(), inner_, d_bias.mutable_data_ptr<E>());
    return results(d_bias, middle);
  }

 private:
  /// Gradient of `branch` for a chunk; the sums for gate and second's bias in columns 2 D and 3 D.
  const E* open(const Chunk& at, std::int64_t i, Arena& arena) {
    E* d_branch = arena.take<E>(at.rows * width_);
    gated_residual_backward<E>({at.rows, width_}, token<E>(d_, at.first),
                               row<E>(half_.modulation, at.sample) + 2 * width_, token<E>(half_.branch, at.first),
                               d_branch, sums_.at(i, 2 * width_), sums_.at(i, 3 * width_));
    put_turned(at, d_branch, d_branch_);
    return d_branch;
  }

  /// From first's output back through the norm to x; the sums for shift and scale in columns 0 and D. `tile` (rows, D).
  void finish(const Chunk& at, std::int64_t i, const E* d_inner, float* tile) {
    first_.multiply(at.rows, d_inner, 0, width_, tile);
    modulated_norm_backward<E, float>(
        {at.rows, width_}, tile, token<E>(half_.x, at.first), row<E>(half_.modulation, at.sample) + width_,
        half_.mean.const_data_ptr<float>() + at.first, half_.rstd.const_data_ptr<float>() + at.first,
        token<E>(d_, at.first), new_token<E>(dx_, at.first), sums_.at(i, 0), sums_.at(i, width_));
  }

  std::vector<at::Tensor> results(const at::Tensor& first_bias, const at::Tensor& middle) {
    return {dx_,
            sums_.template per_sample<E>(0, 3 * width_, d_),
            long_product<E>(half_.normed, d_inner_, true),
            first_bias,
            long_product<E>(d_branch_, middle, false),
            sums_.template over_all<E>(3 * width_, width_, d_)};
  }

  const Half& half_;
  at::Tensor d_;
  Chunks chunks_;
  std::int64_t width_, inner_;  // D; width of first's output
  RightHandSide<E> first_, second_;
  at::Tensor dx_, d_branch_, d_inner_;  // (N, T, D); (D, M), transposed; (M, inner) right
  ChunkSums sums_;
};

}  // namespace

std::vector<at::Tensor> Half::list() const {
  return {x, modulation, first_weight, second_weight, normed, mean, rstd, inner, middle, softmax, branch};
}

Half Half::of(const std::vector<at::Tensor>& v) {
  return {v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10]};
}

at::Tensor half_block_forward(const at::Tensor& x, const at::Tensor& modulation, const Linear& first,
                              const Linear& second, std::int64_t heads, Half* kept) {
  const at::Tensor rows = modulation.stride(-1) == 1 ? modulation : modulation.contiguous();
  return by_type(x, [&](auto zero) {
    Forward<decltype(zero)> forward(x.contiguous(), rows, first, second, kept != nullptr);
    const at::Tensor out = heads == 0 ? forward.mlp() : forward.attention(heads);
    if (kept != nullptr) *kept = forward.half();
    return out;
  });
}

std::vector<at::Tensor> half_block_backward(const Half& half, const at::Tensor& d) {
  return by_type(d, [&](auto zero) {
    Backward<decltype(zero)> backward(half, d.contiguous());
    return half.softmax.defined() ? backward.attention() : backward.mlp();
  });
}

}  // namespace pathline::model

// SPDX-License-Identifier: Apache-2.0
// The numbers and arrays of one optimizer step, for the host's and the device's compiler (C++17 suffices).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pathline::trainer {

/// AdamW with decoupled decay (Loshchilov and Hutter, arXiv 1711.05101), in the order of operations of
/// torch.optim.AdamW.
struct AdamWStep {
  float gradient_scale = 1.0f;  // clipping
  float lr = 0.0f;
  float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
  float weight_decay = 0.0f;
  float correction1 = 1.0f;       // 1 - beta1^n
  float root_correction2 = 1.0f;  // sqrt(1 - beta2^n)
};

/// Lion (Chen et al., arXiv 2302.06675): p -= lr (sign(beta1 m + (1 - beta1) g) + decay p), then
/// m = beta2 m + (1 - beta2) g.
struct LionStep {
  float gradient_scale = 1.0f;
  float lr = 0.0f;
  float beta1 = 0.9f, beta2 = 0.99f;
  float weight_decay = 0.0f;
};

/// One average: average += (1 - decay) (parameter - average).
struct AverageStep {
  float* average = nullptr;
  float one_minus_decay = 0.0f;
};

/// Arrays of `elements` elements that do not overlap, all on one device. Every pointer is to the first element.
struct ShardArrays {
  std::size_t elements = 0;
  const float* gradient = nullptr;
  float* master = nullptr;                  // the fp32 parameter
  std::vector<float*> moments;              // the optimizer's state, in the order of Optimizer::state_names()
  std::uint16_t* bf16_parameter = nullptr;  // receives the master rounded to nearest even; null in fp32
  std::vector<AverageStep> averages;        // any number

  /// Elements [begin, begin + count).
  ShardArrays part(std::size_t begin, std::size_t count) const {
    ShardArrays result = *this;
    result.elements = count;
    result.gradient += begin;
    result.master += begin;
    for (auto& moment : result.moments) moment += begin;
    if (bf16_parameter != nullptr) result.bf16_parameter += begin;
    for (auto& average : result.averages) average.average += begin;
    return result;
  }
};

}  // namespace pathline::trainer

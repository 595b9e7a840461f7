// SPDX-License-Identifier: Apache-2.0
// Numbers on the host and the same numbers on the GPU.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "core/random.h"

namespace pathline::tests {

inline std::vector<float> normals(std::size_t count, std::uint64_t index) {
  std::vector<float> values(count);
  core::Draws(5, index, core::Purpose::kMadeData).fill_normal(values);
  return values;
}

inline at::Tensor on_gpu(std::span<const float> values) {
  return at::from_blob(const_cast<float*>(values.data()), {std::ssize(values)}, at::kFloat).to(at::kCUDA);
}

/// Elements [first, first + count) of a tensor on the GPU, for calls that take spans of device memory.
inline std::span<float> device_span(const at::Tensor& tensor, std::size_t first, std::size_t count) {
  return {tensor.mutable_data_ptr<float>() + first, count};
}
inline std::span<float> device_span(const at::Tensor& tensor) {
  return device_span(tensor, 0, static_cast<std::size_t>(tensor.numel()));
}

/// On the host; waits for everything that the GPU has been asked for on the current stream.
inline std::vector<float> on_host(const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(at::kCPU).contiguous();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
}

template <class Value>
bool same_bits(std::span<const Value> a, std::span<const Value> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}
inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return same_bits(std::span<const float>(a), std::span<const float>(b));
}

}  // namespace pathline::tests

// SPDX-License-Identifier: Apache-2.0
// What a training sample draws, keyed by its position: noise, time, whether its label is dropped. Row n of every
// result depends on positions[n] alone, on a GPU as on the host: the same bits.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <span>

#include "core/random.h"
#include "flow/time_law.h"

namespace pathline::flow {

/// (N) int64: the positions' bits.
at::Tensor positions_on(at::Device device, std::span<const std::uint64_t> positions);

/// (N, shape...) fp32 standard normal.
at::Tensor keyed_noise(std::uint64_t seed, core::Purpose purpose, std::span<const std::uint64_t> positions,
                       at::IntArrayRef shape, at::Device device = at::kCPU);

/// (N, shape...) fp32 in [0, 1). Drawn on the processor and sent.
at::Tensor keyed_uniform(std::uint64_t seed, core::Purpose purpose, std::span<const std::uint64_t> positions,
                         at::IntArrayRef shape, at::Device device = at::kCPU);

/// (N) fp32, on the processor: few numbers, and laws in fp64.
at::Tensor keyed_times(std::uint64_t seed, core::Purpose purpose, std::span<const std::uint64_t> positions,
                       const TimeLaw& law);

/// (N) int64: `labels`, each replaced by `null_label` with probability `drop`; one coin a sample.
at::Tensor dropped_labels(std::uint64_t seed, std::span<const std::uint64_t> positions,
                          std::span<const std::int64_t> labels, double drop, std::int64_t null_label,
                          at::Device device = at::kCPU);

}  // namespace pathline::flow

// SPDX-License-Identifier: Apache-2.0
// What a training sample draws, keyed by its position: noise, time, whether its label is dropped. Row n of every
// result depends on positions[n] alone.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "core/random.h"
#include "flow/time_law.h"

namespace pathline::flow {

/// (N, shape...) fp32 standard normal, on the CPU.
at::Tensor keyed_noise(std::uint64_t seed, core::Purpose purpose, std::span<const std::uint64_t> positions,
                       at::IntArrayRef shape);

/// (N) fp32.
at::Tensor keyed_times(std::uint64_t seed, core::Purpose purpose, std::span<const std::uint64_t> positions,
                       const TimeLaw& law);

/// (N) int64: `labels`, each replaced by `null_label` with probability `drop`; one coin a sample.
at::Tensor dropped_labels(std::uint64_t seed, std::span<const std::uint64_t> positions,
                          std::span<const std::int64_t> labels, double drop, std::int64_t null_label);

}  // namespace pathline::flow

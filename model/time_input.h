// SPDX-License-Identifier: Apache-2.0
// From flow time (0 noise, 1 data) to the number that a network was trained to be fed.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace pathline::model {

enum class TimeInput {
  kFlow,           // t (SiT, torchcfm)
  kFlowReversed,   // 1 - t (REPA)
  kTimes1000,      // 1000 (1 - t) (SD3, FLUX)
  kDdpm999,        // index 0..999 of the ddpm-linear schedule with the same signal-to-noise ratio (DiT, ADM)
  kDdpm999Cosine,  // of the cosine schedule (ADM-64)
};

/// Throws ExitCode::kUsage with the nearest known value.
TimeInput parse_time_input(const std::string& text);

/// t (N) fp32 -> (N) fp32 on the same device. The two of indices take t as the time of the linear path, x_t = t x1 +
/// (1-t) x0, and give the (fractional) index k with alpha_bar_k / (1 - alpha_bar_k) = t^2 / (1-t)^2, clamped to the
/// ends.
at::Tensor network_time(TimeInput input, const at::Tensor& t);

}  // namespace pathline::model

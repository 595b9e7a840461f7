// SPDX-License-Identifier: Apache-2.0
// From tensors to what files hold.
#pragma once

#include <cstdint>
#include <vector>

#include "sampler/generate.h"
#include "sampler/record.h"

namespace pathline::sampler {

/// round((x + 1) * 127.5) clamped to 0 .. 255, halves to even; (C, H, W) fp32 to (H, W, C) bytes.
std::vector<std::uint8_t> to_8_bit(const at::Tensor& value);

/// Pixels of 8 bits, or a point's floats as they are; then, where there is one, the trajectory's floats, channels last.
Record to_record(const Sample& sample);

/// The same of a latent, (C, h, w) fp32 as a decoder takes it: float16, channels first; the trajectory channels last.
Record to_latent_record(const Sample& sample);

/// Of what was encoded: `item`, the data as their set holds it, then the noise found, fp32, channels last.
Record to_encoded_record(const Sample& sample, std::vector<std::byte> item);

/// A record of pixels (H, W, C) with its item as a PNG file.
Record as_png(Record&& record, const std::vector<std::int64_t>& sample_shape);

}  // namespace pathline::sampler

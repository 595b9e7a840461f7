// SPDX-License-Identifier: Apache-2.0
// Bytes to numbers where they are trained on: a GPU is sent a quarter of the bytes, and the host's threads only read.
#pragma once

#include <ATen/core/Tensor.h>

namespace pathline::flow {

/// pixels uint8 (n, H, W, C), mirrored uint8 (n) -> (n, C, H, W) fp32 on their device: level / 127.5 - 1, left and right
/// exchanged where `mirrored` is not 0. The bits of data::pixels_to_values() on every device.
at::Tensor values_of_pixels(const at::Tensor& pixels, const at::Tensor& mirrored);

}  // namespace pathline::flow

// SPDX-License-Identifier: Apache-2.0
// A set of images or points as tensors, batch by batch, for evaluation.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>

#include "core/file_system.h"

namespace pathline::sampler {

struct SetRows {
  std::int64_t count = 0;
  bool points = false;
  std::string description;
  /// Rows [first, first + n): images uint8 (n, C, H, W), points fp32 (n, D).
  std::function<at::Tensor(std::int64_t first, std::int64_t n)> read;
};

/// An HDF5 set, an .npz with arr_0 (pictures, or points (N, D)), a tar or a folder of pictures. `files` must outlive
/// it. Throws ExitCode::kInput for anything else and for pictures of different sizes.
SetRows open_rows(core::FileSystem& files, const std::string& path);

}  // namespace pathline::sampler

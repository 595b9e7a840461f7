// SPDX-License-Identifier: Apache-2.0
// Weights in and out as safetensors, in the original code's parameter names.
#pragma once

#include <string>
#include <vector>

#include "core/file_system.h"
#include "model/module.h"

namespace pathline::model {

enum class MissingWeights { kError, kZero };

/// Copies a file's tensors (F32, F16, BF16) into the model's parameters and buffers, by name and shape.
/// New label rows and channels of the data may be missing with kZero: they start at zero (fine-tuning).
/// Throws ExitCode::kUsage listing names that are missing, unknown or of another shape ("a checkpoint of another
/// model").
void load_weights(core::FileSystem& files, const std::string& path, Module& model, MissingWeights missing);

/// Parameters and buffers as F32, in order of execution, with metadata {"format": "pt", "pathline_model": TOML}.
void save_weights(core::FileSystem& files, const std::string& path, const Module& model);

}  // namespace pathline::model

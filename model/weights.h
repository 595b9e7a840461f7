// SPDX-License-Identifier: Apache-2.0
// Weights in and out as safetensors, in the original code's parameter names.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/file_system.h"
#include "model/module.h"

namespace pathline::model {

enum class MissingWeights { kError, kZero };

/// A tensor by its name, wherever it lies: read() gives it, in any floating-point type.
struct StoredTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::function<at::Tensor()> read;
};

/// Copies tensors into the model's parameters and buffers, by name and shape. `source` is what they come from, for
/// messages. New label rows and columns, and channels of the data, may be missing with kZero: they start at zero
/// (fine-tuning), so that the network computes at first what it did without them.
/// Throws ExitCode::kUsage listing names that are missing, unknown or of another shape ("a checkpoint of another
/// model").
void load_tensors(const std::vector<StoredTensor>& stored, const std::string& source, Module& model,
                  MissingWeights missing);

/// load_tensors() of a file's (F32, F16, BF16).
void load_weights(core::FileSystem& files, const std::string& path, Module& model, MissingWeights missing);

/// Parameters and buffers as F32, in order of execution, with metadata {"format": "pt", "pathline_model": TOML}.
void save_weights(core::FileSystem& files, const std::string& path, const Module& model);

}  // namespace pathline::model

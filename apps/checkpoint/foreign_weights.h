// SPDX-License-Identifier: Apache-2.0
// What the weights of other code bases mean: how their tensors are called in the file, and which way their time runs.
#pragma once

#include <string>

#include "core/file_system.h"

namespace pathline::apps {

struct Convention {
  std::string time_input;  // model.time_input
  std::string prefix;      // of the network's tensors in files that hold more: taken off, and the rest left behind
  /// Their velocity goes from data to noise: the last layer, final_layer.linear, changes its sign.
  bool from_data = false;
};

/// Of --from NAME. Throws ExitCode::kUsage with the nearest known name.
Convention convention_of(const std::string& from);

/// Copies a safetensors file; the copy holds what our network of the same names wants. Types stay.
void copy_weights(core::FileSystem& files, const std::string& from, const std::string& to,
                  const Convention& convention);

}  // namespace pathline::apps

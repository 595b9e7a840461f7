// SPDX-License-Identifier: Apache-2.0
// Where finished samples go: .png grid, .npz, .h5. A file appears whole under its own name (temporary name, sync, rename).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sampler/generate.h"

namespace pathline::sampler {

struct SinkOptions {
  std::string path;                        // its ending decides the format: .png, .npz, .h5
  std::int64_t first = 0, count = 0;       // ids [first, first + count)
  std::vector<std::int64_t> sample_shape;  // (C, H, W) or (D)
  bool labelled = false;
  std::int64_t classes = 0;                // where labelled: labels lie in [0, classes)
  std::vector<std::string> class_names;    // may be empty
  std::int64_t columns = 0;                // of a grid of pictures; 0: as square as it gets
  std::uint64_t seed = 0;
  std::string description;                 // metadata: checkpoint, solver, guidance, 8-bit rule
};

/// Samples in any order; each id once.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void put(const Sample& sample) = 0;
  /// Commits the file. Throws ExitCode::kEnvironment on storage trouble and kInput if an id is missing.
  virtual void finish() = 0;
};

/// Throws ExitCode::kUsage for an ending that no sink writes.
std::unique_ptr<Sink> make_sink(const SinkOptions& options);

/// Columns of a grid of `count` pictures whose ids cycle through `labels` labels: one a label where that fills the grid
/// and stays readable, else 0.
std::int64_t columns_for(std::int64_t count, std::int64_t labels);

/// round((x + 1) * 127.5) clamped to 0 .. 255, halves to even; (C, H, W) fp32 to (H, W, C) bytes.
std::vector<std::uint8_t> to_8_bit(const at::Tensor& value);

}  // namespace pathline::sampler

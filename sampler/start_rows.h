// SPDX-License-Identifier: Apache-2.0
// Samples that start from the rows of a set, sample id from row id: its items, to be encoded into noise, or its /x0, to
// be decoded again (docs/sampling.md).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/shard_source.h"
#include "sampler/solver_options.h"

namespace pathline::sampler {

class StartRows {
 public:
  enum class Kind { kItems, kStarts };

  /// Opens `path`, an HDF5 set. `sample_shape`: (C, H, W) or (D). `option` ("--encode") is who asks, for messages.
  /// Throws ExitCode::kInput for what cannot be read or has no /x0 where they are wanted, kUsage for another shape.
  StartRows(const std::string& option, const std::string& path, Kind kind, std::span<const std::int64_t> sample_shape);

  const data::SetInfo& info() const { return source_->info(); }
  /// Row `row` in the shape of a sample, fp32; pixels in [-1, 1]. Throws ExitCode::kUsage where there is no such row.
  /// Safe from any number of threads.
  at::Tensor value(std::int64_t row) const;
  /// Its item as the set holds it: uint8 (H, W, C) or float32 (D).
  std::vector<std::byte> item(std::int64_t row) const;
  /// Of all rows; empty for a set without labels.
  std::vector<std::int64_t> labels() const;
  /// "crc32c XXXXXXXX of N rows": what samples depend on. Reads every row once.
  std::string identity() const;

 private:
  void check_row(std::int64_t row) const;

  std::string option_, path_;
  Kind kind_;
  std::vector<std::int64_t> shape_;
  std::unique_ptr<data::ShardSource> source_;
};

/// How many rows the set at `path` has. Throws ExitCode::kInput for what is no set.
std::int64_t count_rows(const std::string& path);

/// Turns options for noise to data (follow_path()) around: from the data at t1 back to the noise at t0. What comes out
/// must be multiplied by the returned factor, 1 / s(t0), to be noise as samples start from it. Where the path cannot be
/// integrated up to the data, they are scaled to their mean state at t1, and the noise that this state should hold
/// (1e-3 of it) is left out. Throws ExitCode::kUsage for solvers that cannot go backwards.
double encode_backwards(SolverOptions& options);

}  // namespace pathline::sampler

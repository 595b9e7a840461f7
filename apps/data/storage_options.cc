// SPDX-License-Identifier: Apache-2.0
#include "apps/data/storage_options.h"

#include <CLI/CLI.hpp>

#include "core/error.h"

namespace pathline::apps {

void StorageOptions::add_to(CLI::App& command) {
  command.add_option("--chunk", chunk, "Store chunks of N items (default: contiguous, or 1 with --compress)")
      ->check(CLI::PositiveNumber);
  command.add_option("--compress", compress, "gzip:LEVEL, LEVEL 1 (fast) to 9 (small)");
}

data::hdf5::Chunking StorageOptions::chunking() const {
  data::hdf5::Chunking chunking{chunk, 0};
  if (compress.empty()) return chunking;
  const bool good = compress.size() == 6 && compress.starts_with("gzip:") && compress[5] >= '1' && compress[5] <= '9';
  PL_CHECK(good, core::ExitCode::kUsage, "--compress ", compress,
           " is not known (it is the one filter that every HDF5 library has). Give gzip:1 to gzip:9.");
  chunking.deflate = compress[5] - '0';
  if (chunking.rows == 0) chunking.rows = 1;
  return chunking;
}

}  // namespace pathline::apps

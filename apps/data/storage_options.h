// SPDX-License-Identifier: Apache-2.0
// --chunk and --compress: how a store that is written again is stored.
#pragma once

#include <string>

#include "apps/cli.h"
#include "data/hdf5.h"

namespace pathline::apps {

struct StorageOptions {
  std::int64_t chunk = 0;
  std::string compress;

  void add_to(CLI::App& command);
  /// Throws ExitCode::kUsage for what cannot be understood.
  data::hdf5::Chunking chunking() const;
};

}  // namespace pathline::apps

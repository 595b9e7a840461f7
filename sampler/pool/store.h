// SPDX-License-Identifier: Apache-2.0
// The job store (docs/formats/job-store.md): where it lies, its tables, its version.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "sampler/pool/database.h"

namespace pathline::pool {

inline constexpr std::int64_t kStoreVersion = 1;

/// The type of a file system as statfs gives it belongs to storage that other machines write, too.
bool is_network_file_system(std::int64_t type);

/// Opens or makes POOL/jobs.sqlite. Throws ExitCode::kInput for a newer version or a file that is no job store.
std::unique_ptr<Database> open_store(const std::string& pool);

}  // namespace pathline::pool

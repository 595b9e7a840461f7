// SPDX-License-Identifier: Apache-2.0
// What the storage below a directory does, tried out in a directory of its own that is removed afterwards. Local.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/file_system.h"
#include "launch/doctor/line.h"

namespace pathline::doctor {

struct StorageQuestion {
  std::string directory;           // made if missing
  std::uint64_t checkpoint = 0;    // bytes of a whole one; 0: not known
  std::uint64_t own_part = 0;      // of it, written by this host
  std::uint64_t bytes = 64 << 20;  // to write and read
};

/// File system, space, sync, rate, and the calls that a commit rests on. Throws core::Error where a call fails that
/// must not. The directory is made and written through `files`.
std::vector<Line> look_at_storage(core::FileSystem& files, const StorageQuestion& question);

/// Whether rename replaces, link() refuses an existing name, and a directory can be synced, in `directory`.
Line try_commit(core::FileSystem& files, const std::string& directory);

}  // namespace pathline::doctor

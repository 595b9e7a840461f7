// SPDX-License-Identifier: Apache-2.0
// Byte ranges of a checkpoint's files, several pieces of 1 MiB at a time, each checked before its bytes are handed out.
// Inside this folder only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest.h"
#include "core/file_system.h"

namespace pathline::checkpoint {

/// Bytes [begin, begin + out.size()) of file number `file`.
struct WantedBytes {
  std::uint64_t file = 0;
  std::uint64_t begin = 0;
  std::span<std::byte> out;
};

/// Told of a piece that does not match its CRC32C; may throw, and is called by any of the threads.
using DamagedPiece = std::function<void(std::uint64_t file, std::uint64_t piece)>;

/// Reads in the order of files and places, whole pieces straight into their destination; with a few threads where there
/// is enough to read. Of several failures the first in that order is thrown.
void read_pieces(core::FileSystem& files, const std::string& directory, const Manifest& manifest,
                 std::span<const WantedBytes> wanted, const DamagedPiece& damaged);

/// Reads a share of a file and returns the pieces that do not match, ascending.
std::vector<std::uint64_t> damaged_pieces(core::FileSystem& files, const std::string& directory,
                                          const Manifest& manifest, std::uint64_t file, Share share);

}  // namespace pathline::checkpoint

// SPDX-License-Identifier: Apache-2.0
// Checksums on the way to a file. Inside this folder only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "checkpoint/manifest.h"
#include "core/crc32c.h"
#include "core/file_system.h"

namespace pathline::checkpoint {

/// Takes the CRC32C of every 1 MiB on the way to the file, so that no byte is read again.
class PieceWriter {
 public:
  explicit PieceWriter(core::WritableFile& file) : file_(file) {}

  void append(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::uint64_t in_piece = length_ % kPieceBytes;
      if (in_piece == 0) pieces_.push_back(0);
      const auto part = bytes.first(std::min<std::uint64_t>(bytes.size(), kPieceBytes - in_piece));
      pieces_.back() = core::crc32c(part, pieces_.back());
      file_.append(part);  // the piece comes out of the processor's cache now
      length_ += part.size();
      bytes = bytes.subspan(part.size());
    }
  }
  std::uint64_t length() const { return length_; }
  const std::vector<std::uint32_t>& pieces() const { return pieces_; }

 private:
  core::WritableFile& file_;
  std::uint64_t length_ = 0;
  std::vector<std::uint32_t> pieces_;
};

}  // namespace pathline::checkpoint

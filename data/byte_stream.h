// SPDX-License-Identifier: Apache-2.0
// Bytes one after the other: from a file, a part of it, or what gzip and deflate packed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/file_system.h"

namespace pathline::data {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// Fills `out` as far as there are bytes; returns how many. Fewer than asked for only at the end.
  virtual std::size_t read(std::span<std::byte> out) = 0;
};

/// Bytes [offset, offset + length) of a file. `files` must outlive the stream.
std::unique_ptr<ByteStream> file_range(core::FileSystem& files, const std::string& path, std::uint64_t offset,
                                       std::uint64_t length);

enum class Packing { kGzip, kRawDeflate };

/// The unpacked bytes; damage throws core::Error (kInput) naming `origin`. Several gzip members follow each other.
std::unique_ptr<ByteStream> unpacked(std::unique_ptr<ByteStream> packed, Packing packing, const std::string& origin);

/// A whole file, unpacked if its first bytes say gzip.
std::unique_ptr<ByteStream> open_bytes(core::FileSystem& files, const std::string& path);

/// All that is left. Memory grows with what really comes, not with what a header claims.
std::vector<std::byte> read_all(ByteStream& stream);

/// The same where `bytes` are announced: throws kInput naming `origin` if there are fewer, or more.
std::vector<std::byte> read_announced(ByteStream& stream, std::uint64_t bytes, const std::string& origin);

/// Fills `out`, or throws kInput: "ORIGIN ends too early ...".
void read_exactly(ByteStream& stream, std::span<std::byte> out, const std::string& origin);

}  // namespace pathline::data

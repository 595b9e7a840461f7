// SPDX-License-Identifier: Apache-2.0
// ZIP archives (PKWARE APPNOTE 6.3), as far as data sets need them: stored and deflated members are read, stored ones
// written, both beyond 4 GiB (ZIP64).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/file_system.h"
#include "data/byte_stream.h"

namespace pathline::data {

struct ZipMember {
  std::string name;
  std::uint64_t header = 0;        // offset of its local header
  std::uint64_t packed_bytes = 0;  // in the file
  std::uint64_t bytes = 0;         // unpacked
  std::uint32_t crc32 = 0;
  bool stored = true;  // else deflated
};

bool is_zip(std::span<const std::byte> start_of_file);

/// Reads foreign bytes: whatever they are, the outcome is a correct answer or core::Error (kInput).
class ZipReader {
 public:
  /// `files` must outlive the reader and its streams.
  ZipReader(core::FileSystem& files, std::string path);
  const std::vector<ZipMember>& members() const { return members_; }
  /// Null if there is none of that name.
  const ZipMember* find(const std::string& name) const;

  /// The unpacked bytes. Length and CRC are checked when the last byte is read.
  std::unique_ptr<ByteStream> open(const ZipMember& member) const;
  /// Where the member's packed bytes begin in the file.
  std::uint64_t data_offset(const ZipMember& member) const;

 private:
  core::FileSystem& files_;
  std::string path_;
  std::uint64_t file_size_;
  std::vector<ZipMember> members_;
};

/// Appends members to a file that appears under its name in finish(), complete and synced; until then, and if finish()
/// is never reached, nothing is at `path`.
class ZipWriter {
 public:
  ZipWriter(core::FileSystem& files, std::string path);
  ~ZipWriter();
  ZipWriter(const ZipWriter&) = delete;
  ZipWriter& operator=(const ZipWriter&) = delete;

  /// Begins a member of `bytes` bytes; append() must then give exactly so many, before the next begin() or finish().
  void begin(const std::string& name, std::uint64_t bytes);
  void append(std::span<const std::byte> bytes);
  void finish();

 private:
  void end_member();
  void write(std::span<const std::byte> bytes);
  void flush();

  core::FileSystem& files_;
  std::string path_, temporary_;
  std::unique_ptr<core::WritableFile> file_;
  std::vector<std::byte> buffer_;
  std::vector<ZipMember> members_;
  std::uint64_t written_ = 0, member_left_ = 0;
};

}  // namespace pathline::data

// SPDX-License-Identifier: Apache-2.0
// Sizes and places are taken from the central directory only; every number is checked against the file before use.
#include <zlib.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "data/little_endian.h"
#include "data/zip.h"

namespace pathline::data {
namespace {

using core::ExitCode;

constexpr std::uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50, kEnd = 0x06054b50;
constexpr std::uint32_t kZip64End = 0x06064b50, kZip64Locator = 0x07064b50;
constexpr std::uint64_t kEndBytes = 22, kLocatorBytes = 20, kZip64EndBytes = 56, kLocalBytes = 30, kCentralBytes = 46;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw core::Error(ExitCode::kInput, core::concat(path, " is no usable ZIP archive: ", why,
                                                   ". It may have been cut off: fetch or copy it again."));
}

struct Directory {
  std::uint64_t offset, bytes, members;
};

Directory zip64_directory(core::FileSystem& files, const std::string& path, std::uint64_t end_record) {
  if (end_record < kLocatorBytes) refuse(path, "its ZIP64 end record is missing");
  std::array<std::byte, kLocatorBytes> locator;
  files.read(path, end_record - kLocatorBytes, locator);
  if (little_endian(locator, 0, 4) != kZip64Locator) refuse(path, "its ZIP64 end record is missing");
  const std::uint64_t place = little_endian(locator, 8, 8);
  if (place > end_record || end_record - place < kZip64EndBytes) refuse(path, "its ZIP64 end record lies outside");
  std::array<std::byte, kZip64EndBytes> end;
  files.read(path, place, end);
  if (little_endian(end, 0, 4) != kZip64End) refuse(path, "its ZIP64 end record is missing");
  return {little_endian(end, 48, 8), little_endian(end, 40, 8), little_endian(end, 32, 8)};
}

/// The end record is found from behind: a comment of up to 65,535 bytes may follow it.
Directory find_directory(core::FileSystem& files, const std::string& path, std::uint64_t file_size) {
  if (file_size < kEndBytes) refuse(path, "it is too short");
  std::vector<std::byte> tail(static_cast<std::size_t>(std::min<std::uint64_t>(file_size, kEndBytes + 65535)));
  files.read(path, file_size - tail.size(), tail);
  for (std::size_t at = tail.size() - kEndBytes + 1; at-- > 0;) {
    if (little_endian(tail, at, 4) != kEnd) continue;
    const Directory directory{little_endian(tail, at + 16, 4), little_endian(tail, at + 12, 4),
                              little_endian(tail, at + 10, 2)};
    const bool zip64 = directory.offset == 0xffffffff || directory.bytes == 0xffffffff || directory.members == 0xffff;
    return zip64 ? zip64_directory(files, path, file_size - tail.size() + at) : directory;
  }
  refuse(path, "it has no central directory");
}

/// Values that did not fit into 32 bits, in fixed order: size, packed size, offset.
void apply_zip64(ZipMember& member, std::span<const std::byte> extra, const std::string& path) {
  for (std::size_t at = 0; extra.size() - at >= 4;) {
    const auto id = little_endian(extra, at, 2);
    const auto length = static_cast<std::size_t>(little_endian(extra, at + 2, 2));
    at += 4;
    if (length > extra.size() - at) return;
    if (id == 1) {
      std::size_t field = at;
      for (std::uint64_t* value : {&member.bytes, &member.packed_bytes, &member.header}) {
        if (*value != 0xffffffff) continue;
        if (field + 8 > at + length) refuse(path, "a ZIP64 field is too short");
        *value = little_endian(extra, field, 8);
        field += 8;
      }
      return;
    }
    at += length;
  }
}

/// The member described at `at`, which is moved behind it.
ZipMember next_member(std::span<const std::byte> directory, std::size_t& at, const std::string& path) {
  if (directory.size() - at < kCentralBytes || little_endian(directory, at, 4) != kCentralHeader) {
    refuse(path, "its central directory is damaged");
  }
  const auto name_bytes = static_cast<std::size_t>(little_endian(directory, at + 28, 2));
  const auto extra_bytes = static_cast<std::size_t>(little_endian(directory, at + 30, 2));
  const auto comment_bytes = static_cast<std::size_t>(little_endian(directory, at + 32, 2));
  const std::size_t name_at = at + kCentralBytes;
  if (directory.size() - name_at < name_bytes + extra_bytes + comment_bytes) {
    refuse(path, "its central directory is damaged");
  }
  ZipMember member;
  member.name.assign(reinterpret_cast<const char*>(directory.data() + name_at), name_bytes);
  if (little_endian(directory, at + 8, 2) & 1) refuse(path, member.name + " is encrypted");
  const auto method = little_endian(directory, at + 10, 2);
  if (method != 0 && method != 8)
    refuse(path, core::concat(member.name, " is packed by method ", method,
                              " (only stored and deflated members can be read)"));
  member.stored = method == 0;
  member.crc32 = static_cast<std::uint32_t>(little_endian(directory, at + 16, 4));
  member.packed_bytes = little_endian(directory, at + 20, 4);
  member.bytes = little_endian(directory, at + 24, 4);
  member.header = little_endian(directory, at + 42, 4);
  apply_zip64(member, directory.subspan(name_at + name_bytes, extra_bytes), path);
  at = name_at + name_bytes + extra_bytes + comment_bytes;
  return member;
}

/// Passes bytes on and compares length and CRC at the end.
class CheckedMember final : public ByteStream {
 public:
  CheckedMember(std::unique_ptr<ByteStream> bytes, const ZipMember& member, std::string origin)
      : bytes_(std::move(bytes)), left_(member.bytes), expected_(member.crc32), origin_(std::move(origin)) {}

  std::size_t read(std::span<std::byte> out) override {
    if (out.size() > left_) out = out.first(static_cast<std::size_t>(left_));
    if (out.empty()) return 0;
    read_exactly(*bytes_, out, origin_);
    crc_ = crc32_z(crc_, reinterpret_cast<const Bytef*>(out.data()), out.size());
    left_ -= out.size();
    PL_CHECK(left_ > 0 || crc_ == expected_, ExitCode::kInput, origin_,
             " is damaged: its checksum (CRC32) differs. Fetch or copy the file again.");
    return out.size();
  }

 private:
  std::unique_ptr<ByteStream> bytes_;
  std::uint64_t left_;
  uLong crc_ = 0;
  std::uint32_t expected_;
  std::string origin_;
};

}  // namespace

bool is_zip(std::span<const std::byte> start_of_file) {
  return start_of_file.size() >= 4 &&
         (little_endian(start_of_file, 0, 4) == kLocalHeader || little_endian(start_of_file, 0, 4) == kEnd);
}

ZipReader::ZipReader(core::FileSystem& files, std::string path)
    : files_(files), path_(std::move(path)), file_size_(files.size(path_)) {
  const Directory directory = find_directory(files_, path_, file_size_);
  if (directory.offset > file_size_ || directory.bytes > file_size_ - directory.offset) {
    refuse(path_, "its central directory lies outside the file");
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(directory.bytes));
  files_.read(path_, directory.offset, bytes);
  for (std::size_t at = 0; members_.size() < directory.members;) members_.push_back(next_member(bytes, at, path_));
}

const ZipMember* ZipReader::find(const std::string& name) const {
  const auto found = std::find_if(members_.begin(), members_.end(), [&](const auto& m) { return m.name == name; });
  return found == members_.end() ? nullptr : &*found;
}

std::uint64_t ZipReader::data_offset(const ZipMember& member) const {
  if (file_size_ < kLocalBytes || member.header > file_size_ - kLocalBytes) {
    refuse(path_, member.name + " lies outside the file");
  }
  std::array<std::byte, kLocalBytes> header;
  files_.read(path_, member.header, header);
  const std::uint64_t offset =
      member.header + kLocalBytes + little_endian(header, 26, 2) + little_endian(header, 28, 2);
  if (little_endian(header, 0, 4) != kLocalHeader || offset > file_size_ || member.packed_bytes > file_size_ - offset ||
      (member.stored && member.packed_bytes != member.bytes)) {
    refuse(path_, member.name + " has a damaged header");
  }
  return offset;
}

std::unique_ptr<ByteStream> ZipReader::open(const ZipMember& member) const {
  const std::string origin = core::concat(path_, " (", member.name, ")");
  auto bytes = file_range(files_, path_, data_offset(member), member.packed_bytes);
  if (!member.stored) bytes = unpacked(std::move(bytes), Packing::kRawDeflate, origin);
  return std::make_unique<CheckedMember>(std::move(bytes), member, origin);
}

}  // namespace pathline::data

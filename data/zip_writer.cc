// SPDX-License-Identifier: Apache-2.0
// Files are only appended to, so a member's CRC follows its data (flag bit 3, "data descriptor"). Sizes are known
// beforehand and written as ZIP64 fields everywhere: one form for all sizes.
#include <unistd.h>
#include <zlib.h>

#include "core/error.h"
#include "data/little_endian.h"
#include "data/zip.h"

namespace pathline::data {
namespace {

constexpr std::size_t kBuffer = std::size_t{1} << 20;
constexpr std::uint64_t kInZip64 = 0xffffffff;      // "the value is in the ZIP64 field"
constexpr std::uint64_t kVersion = 45;              // the first that knows ZIP64
constexpr std::uint64_t kFlags = 1 << 3 | 1 << 11;  // data descriptor; names are UTF-8
constexpr std::uint64_t kDate = 33;                 // 1980-01-01, so that equal content gives equal bytes

void put_name(std::vector<std::byte>& out, const std::string& name) {
  for (const char c : name) out.push_back(static_cast<std::byte>(c));
}

std::vector<std::byte> local_header(const ZipMember& member) {
  std::vector<std::byte> out;
  put_little_endian(out, 0x04034b50, 4);
  put_little_endian(out, kVersion, 2);
  put_little_endian(out, kFlags, 2);
  put_little_endian(out, 0, 4);  // stored; time
  put_little_endian(out, kDate, 2);
  put_little_endian(out, 0, 4);  // CRC: in the data descriptor
  put_little_endian(out, kInZip64, 4);
  put_little_endian(out, kInZip64, 4);
  put_little_endian(out, member.name.size(), 2);
  put_little_endian(out, 20, 2);
  put_name(out, member.name);
  put_little_endian(out, 1, 2);  // ZIP64 field of 16 bytes
  put_little_endian(out, 16, 2);
  put_little_endian(out, member.bytes, 8);
  put_little_endian(out, member.bytes, 8);
  return out;
}

std::vector<std::byte> descriptor(const ZipMember& member) {
  std::vector<std::byte> out;
  put_little_endian(out, 0x08074b50, 4);
  put_little_endian(out, member.crc32, 4);
  put_little_endian(out, member.bytes, 8);
  put_little_endian(out, member.bytes, 8);
  return out;
}

std::vector<std::byte> central_header(const ZipMember& member) {
  std::vector<std::byte> out;
  put_little_endian(out, 0x02014b50, 4);
  put_little_endian(out, 3 << 8 | kVersion, 2);  // made on Unix
  put_little_endian(out, kVersion, 2);
  put_little_endian(out, kFlags, 2);
  put_little_endian(out, 0, 4);
  put_little_endian(out, kDate, 2);
  put_little_endian(out, member.crc32, 4);
  put_little_endian(out, kInZip64, 4);
  put_little_endian(out, kInZip64, 4);
  put_little_endian(out, member.name.size(), 2);
  put_little_endian(out, 28, 2);
  put_little_endian(out, 0, 6);                             // no comment; first disk; attributes
  put_little_endian(out, std::uint64_t{0100644} << 16, 4);  // mode of a plain file
  put_little_endian(out, kInZip64, 4);
  put_name(out, member.name);
  put_little_endian(out, 1, 2);
  put_little_endian(out, 24, 2);
  put_little_endian(out, member.bytes, 8);
  put_little_endian(out, member.bytes, 8);
  put_little_endian(out, member.header, 8);
  return out;
}

/// ZIP64 end record, its locator and the old end record that points to them.
std::vector<std::byte> end_records(std::uint64_t members, std::uint64_t directory, std::uint64_t end) {
  std::vector<std::byte> out;
  put_little_endian(out, 0x06064b50, 4);
  put_little_endian(out, 44, 8);  // bytes that follow
  put_little_endian(out, 3 << 8 | kVersion, 2);
  put_little_endian(out, kVersion, 2);
  put_little_endian(out, 0, 8);  // disks
  put_little_endian(out, members, 8);
  put_little_endian(out, members, 8);
  put_little_endian(out, end - directory, 8);
  put_little_endian(out, directory, 8);
  put_little_endian(out, 0x07064b50, 4);
  put_little_endian(out, 0, 4);
  put_little_endian(out, end, 8);
  put_little_endian(out, 1, 4);
  put_little_endian(out, 0x06054b50, 4);
  put_little_endian(out, 0, 4);
  put_little_endian(out, 0xffff, 2);
  put_little_endian(out, 0xffff, 2);
  put_little_endian(out, kInZip64, 4);
  put_little_endian(out, kInZip64, 4);
  put_little_endian(out, 0, 2);
  return out;
}

}  // namespace

ZipWriter::ZipWriter(core::FileSystem& files, std::string path)
    : files_(files),
      path_(std::move(path)),
      temporary_(core::concat(path_, ".", ::getpid(), ".tmp")),
      file_(files_.create(temporary_)) {}

ZipWriter::~ZipWriter() {
  if (!file_) return;
  try {
    file_->close();
    files_.remove(temporary_);
  } catch (const core::Error&) {
    // The failure that brought us here is the one to report.
  }
}

void ZipWriter::begin(const std::string& name, std::uint64_t bytes) {
  end_member();
  members_.push_back({name, written_, bytes, bytes, 0, true});
  member_left_ = bytes;
  write(local_header(members_.back()));
}

void ZipWriter::append(std::span<const std::byte> bytes) {
  PL_ASSERT(!members_.empty() && bytes.size() <= member_left_);
  auto& crc = members_.back().crc32;
  crc = static_cast<std::uint32_t>(crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
  member_left_ -= bytes.size();
  write(bytes);
}

void ZipWriter::end_member() {
  PL_ASSERT(member_left_ == 0);
  if (!members_.empty()) write(descriptor(members_.back()));
}

void ZipWriter::finish() {
  end_member();
  const std::uint64_t directory = written_;
  for (const auto& member : members_) write(central_header(member));
  write(end_records(members_.size(), directory, written_));
  flush();
  file_->sync();
  file_->close();
  files_.rename(temporary_, path_);
  file_.reset();
  files_.sync_directory(core::parent_of(path_));
}

void ZipWriter::write(std::span<const std::byte> bytes) {
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  written_ += bytes.size();
  if (buffer_.size() >= kBuffer) flush();
}

void ZipWriter::flush() {
  file_->append(buffer_);
  buffer_.clear();
}

}  // namespace pathline::data

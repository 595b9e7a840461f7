// SPDX-License-Identifier: Apache-2.0
#include "sampler/part_file.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/crc32c.h"
#include "core/error.h"
#include "data/little_endian.h"

namespace pathline::sampler {
namespace {

using data::little_endian;
using data::put_little_endian;

constexpr std::string_view kMagic = "PLPART01";
constexpr std::size_t kHeader = 32, kRecordHeader = 24, kTrailer = 4;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw core::Error(core::ExitCode::kInput,
                    core::concat("the part ", path, " cannot be used: ", why,
                                 " (its samples would be wrong or missing in the set). Remove it and start again: only "
                                 "its samples are then made anew."));
}

std::size_t checked_end(std::span<const std::byte> bytes, std::uint64_t job, IdRange range, const std::string& path) {
  if (bytes.size() < kHeader + kTrailer) refuse(path, "it is too short");
  const std::size_t end = bytes.size() - kTrailer;
  const bool magic = std::equal(kMagic.begin(), kMagic.end(), reinterpret_cast<const char*>(bytes.data()));
  if (!magic) refuse(path, "it is no part of version 1");
  if (core::crc32c(bytes.first(end)) != little_endian(bytes, end, 4)) refuse(path, "its CRC32C does not fit");
  if (little_endian(bytes, 8, 8) != job) refuse(path, "it belongs to another job");
  const IdRange held{static_cast<std::int64_t>(little_endian(bytes, 16, 8)),
                     static_cast<std::int64_t>(little_endian(bytes, 24, 8))};
  if (held != range) refuse(path, core::concat("it holds ids ", held.first, " to ", held.last));
  return end;
}

}  // namespace

std::vector<std::byte> encode_part(std::uint64_t job, IdRange range, std::span<const Record> records) {
  PL_ASSERT(static_cast<std::int64_t>(records.size()) == range.count());
  std::vector<std::byte> out;
  std::size_t total = kHeader + kTrailer;
  for (const Record& record : records) total += kRecordHeader + record.item.size();
  out.reserve(total);
  for (const char letter : kMagic) out.push_back(static_cast<std::byte>(letter));
  put_little_endian(out, job, 8);
  put_little_endian(out, static_cast<std::uint64_t>(range.first), 8);
  put_little_endian(out, static_cast<std::uint64_t>(range.last), 8);
  std::int64_t id = range.first;
  for (const Record& record : records) {
    PL_ASSERT(record.id == id++);
    put_little_endian(out, static_cast<std::uint64_t>(record.label), 8);
    put_little_endian(out, static_cast<std::uint64_t>(record.nfe), 4);
    put_little_endian(out, static_cast<std::uint64_t>(record.rejected), 4);
    put_little_endian(out, record.item.size(), 4);
    put_little_endian(out, static_cast<std::uint64_t>(record.status), 4);
    out.insert(out.end(), record.item.begin(), record.item.end());
  }
  put_little_endian(out, core::crc32c(out), 4);
  return out;
}

std::vector<Record> decode_part(std::span<const std::byte> bytes, std::uint64_t job, IdRange range,
                                const std::string& path) {
  const std::size_t end = checked_end(bytes, job, range, path);
  std::vector<Record> records;
  std::size_t at = kHeader;
  for (std::int64_t id = range.first; id < range.last; ++id) {
    if (end - at < kRecordHeader) refuse(path, "it holds too few samples");
    Record record;
    record.id = id;
    record.label = static_cast<std::int64_t>(little_endian(bytes, at, 8));
    record.nfe = static_cast<std::int64_t>(little_endian(bytes, at + 8, 4));
    record.rejected = static_cast<std::int64_t>(little_endian(bytes, at + 12, 4));
    record.status = static_cast<SampleStatus>(little_endian(bytes, at + 20, 1));
    const std::uint64_t length = little_endian(bytes, at + 16, 4);
    at += kRecordHeader;
    if (length > end - at) refuse(path, "a sample is cut off");
    const auto item = bytes.subspan(at, static_cast<std::size_t>(length));
    record.item.assign(item.begin(), item.end());
    at += item.size();
    records.push_back(std::move(record));
  }
  if (at != end) refuse(path, "it holds too many samples");
  return records;
}

}  // namespace pathline::sampler

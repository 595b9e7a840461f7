// SPDX-License-Identifier: Apache-2.0
// tar (POSIX.1-2001 ustar and pax, GNU long names), plain or gzipped: class folders, or WebDataset, where KEY.cls
// beside KEY.png holds the label. A plain tar is read in place; a gzipped one is unpacked into memory.
#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string_view>

#include "core/error.h"
#include "data/byte_stream.h"
#include "data/import_sources.h"

namespace pathline::data {
namespace {

using core::ExitCode;
using Block = std::array<std::byte, 512>;

std::string text_field(const Block& block, std::size_t at, std::size_t length) {
  const auto* begin = reinterpret_cast<const char*>(block.data() + at);
  return {begin, std::find(begin, begin + length, '\0')};
}

/// Octal text, or base 256 where the first bit is set (GNU, for more than 8 GiB).
std::uint64_t number_field(const Block& block, std::size_t at, std::size_t length) {
  std::uint64_t value = 0;
  const bool binary = std::to_integer<int>(block[at]) & 0x80;
  for (std::size_t i = 0; i < length; ++i) {
    const auto byte = std::to_integer<std::uint64_t>(block[at + i]);
    if (binary) {
      value = value << 8 | (i == 0 ? byte & 0x7f : byte);
    } else if (byte >= '0' && byte <= '7') {
      value = value << 3 | (byte - '0');
    } else if (byte == 0 || (byte == ' ' && value > 0)) {
      break;
    }
  }
  return value;
}

bool checksum_fits(const Block& block) {
  std::uint64_t sum = 8 * ' ';  // the field itself counts as spaces
  for (std::size_t i = 0; i < block.size(); ++i) {
    if (i < 148 || i >= 156) sum += std::to_integer<std::uint64_t>(block[i]);
  }
  return sum == number_field(block, 148, 8);
}

/// Where the archive's bytes are.
struct Archive {
  core::FileSystem& files;
  std::string path;  // "" : in memory
  std::span<const std::byte> memory;
  std::uint64_t size;

  void read(std::uint64_t offset, std::span<std::byte> out) const {
    if (path.empty()) {
      std::copy_n(memory.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    } else {
      files.read(path, offset, out);
    }
  }
  std::string text(std::uint64_t offset, std::uint64_t length) const {
    std::string text(static_cast<std::size_t>(std::min<std::uint64_t>(length, 1 << 20)), '\0');
    read(offset, std::as_writable_bytes(std::span(text)));
    return text;
  }
};

/// "LENGTH path=VALUE\n" among the records of a pax header; "" if there is none.
std::string pax_path(std::string_view records) {
  while (!records.empty()) {
    std::size_t length = 0;
    const auto [end, problem] = std::from_chars(records.data(), records.data() + records.size(), length);
    const auto used = static_cast<std::size_t>(end - records.data());
    if (problem != std::errc() || length <= used + 1 || length > records.size()) return "";
    const std::string_view record = records.substr(used + 1, length - used - 2);
    if (record.starts_with("path=")) return std::string(record.substr(5));
    records.remove_prefix(length);
  }
  return "";
}

struct Entry {
  std::string name;
  std::uint64_t offset, bytes;
};

/// All plain files, in order. An archive ends with a block of zeros: without it pictures may be missing.
std::vector<Entry> entries_of(const Archive& archive, const std::string& origin) {
  std::vector<Entry> entries;
  std::string long_name;
  Block block;
  for (std::uint64_t at = 0; archive.size - at >= block.size();) {
    archive.read(at, block);
    if (std::all_of(block.begin(), block.end(), [](std::byte b) { return b == std::byte{0}; })) return entries;
    const std::uint64_t bytes = number_field(block, 124, 12);
    PL_CHECK(checksum_fits(block) && bytes <= archive.size - at - block.size(), ExitCode::kInput, origin,
             " is damaged or cut off at byte ", at, " (tar header). Fetch or copy it again.");
    const std::uint64_t data = at + block.size();
    const char type = static_cast<char>(block[156]);
    if (type == 'x' || type == 'L') {
      const std::string text = archive.text(data, bytes);
      long_name = type == 'x' ? pax_path(text) : text.substr(0, text.find('\0'));
    } else if (type != 'g') {
      const std::string prefix = text_field(block, 257, 5) == "ustar" ? text_field(block, 345, 155) : "";
      const std::string name = text_field(block, 0, 100);
      if (type == '0' || type == '\0') {
        entries.push_back({!long_name.empty() ? long_name : prefix.empty() ? name : prefix + "/" + name, data, bytes});
      }
      long_name.clear();
    }
    at = std::min(data + (bytes + 511) / 512 * 512, archive.size);
  }
  throw core::Error(ExitCode::kInput, core::concat(origin, " is cut off after ", entries.size(),
                                                   " files: its end mark is missing. Fetch or copy it again."));
}

std::string stem_of(const std::string& name) { return name.substr(0, name.rfind('.')); }

/// Labels from KEY.cls; every picture must have one then.
void assign_cls(EncodedSet& set, const std::map<std::string, std::int64_t>& labels, const std::string& under,
                const std::string& origin) {
  keep_below(set, under, origin);
  for (auto& picture : set.pictures) {
    const auto found = labels.find(stem_of(picture.name));
    PL_CHECK(found != labels.end(), ExitCode::kInput, origin, ": ", picture.name,
             " has no .cls file beside it, although others have. Add it, or remove them all.");
    picture.label = found->second;
    set.classes = std::max(set.classes, picture.label + 1);
  }
  set.description = core::concat("tar of ", set.pictures.size(), " pictures, labels from .cls files");
}

std::int64_t cls_label(const Archive& archive, const Entry& entry, const std::string& origin) {
  const std::string text = archive.text(entry.offset, entry.bytes);
  std::int64_t label = -1;
  std::from_chars(text.data(), text.data() + text.size(), label);
  PL_CHECK(label >= 0 && label < 1 << 24, ExitCode::kInput, origin, ": ", entry.name,
           " holds no label (a whole number from 0 is expected).");
  return label;
}

}  // namespace

bool is_tar(std::span<const std::byte> start) {
  Block block;
  if (start.size() < block.size()) return false;
  std::copy_n(start.begin(), block.size(), block.begin());
  return text_field(block, 257, 5) == "ustar" && checksum_fits(block);
}

std::unique_ptr<PictureSource> open_tar(core::FileSystem& files, const std::string& path, const std::string& under) {
  EncodedSet set;
  std::array<std::byte, 2> magic{};
  files.read(path, 0, magic);
  const bool packed = magic[0] == std::byte{0x1f} && magic[1] == std::byte{0x8b};
  if (packed) set.memory = read_all(*open_bytes(files, path));
  const Archive archive{files, packed ? "" : path, set.memory, packed ? set.memory.size() : files.size(path)};
  const std::uint64_t stamp = file_stamp(files, path);
  std::map<std::string, std::int64_t> labels;
  for (const Entry& entry : entries_of(archive, path)) {
    const std::string name = entry.name.starts_with("./") ? entry.name.substr(2) : entry.name;
    if (core::name_of(name).starts_with(".")) continue;
    if (has_picture_ending(name)) {
      set.pictures.push_back({name, archive.path, entry.offset, entry.bytes, -1, nullptr, stamp});
    }
    if (name.ends_with(".cls")) labels[stem_of(name)] = cls_label(archive, entry, path);
  }
  std::sort(set.pictures.begin(), set.pictures.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  if (labels.empty()) {
    assign_labels(set, "tar", std::nullopt, under, path);
  } else {
    assign_cls(set, labels, under, path);
  }
  return encoded_pictures(files, std::move(set));
}

}  // namespace pathline::data

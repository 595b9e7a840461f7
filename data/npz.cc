// SPDX-License-Identifier: Apache-2.0
#include "data/npz.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include "core/error.h"
#include "core/text.h"
#include "data/little_endian.h"

namespace pathline::data {
namespace {

using core::ExitCode;

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr std::uint64_t kLongestHeader = 1 << 20;

/// The Python dictionary of a header: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
class HeaderText {
 public:
  HeaderText(std::string_view text, const std::string& origin) : rest_(text), origin_(origin) {}

  NpyHeader parse() {
    NpyHeader header;
    std::array<bool, 3> seen{};
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr") {
        set_type(header, quoted());
        seen[0] = true;
      } else if (key == "fortran_order") {
        fortran_ = truth();
        seen[1] = true;
      } else if (key == "shape") {
        header.shape = shape();
        seen[2] = true;
      } else {
        refuse("unknown key");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (!(seen[0] && seen[1] && seen[2])) refuse("a key is missing");
    PL_CHECK(!fortran_ || header.shape.size() < 2, ExitCode::kInput, origin_,
             " is stored in Fortran order. Save it with numpy.ascontiguousarray(...).");
    return header;
  }

 private:
  [[noreturn]] void refuse(const char* why) const {
    throw core::Error(ExitCode::kInput, core::concat(origin_, " has no usable .npy header: ", why, "."));
  }
  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \n\t"), rest_.size())); }
  bool accept(char c) {
    skip_space();
    const bool found = !rest_.empty() && rest_.front() == c;
    if (found) rest_.remove_prefix(1);
    return found;
  }
  void expect(char c) {
    if (!accept(c)) refuse("it is no dictionary of descr, fortran_order and shape");
  }
  std::string quoted() {
    skip_space();
    if (!rest_.empty() && rest_.front() == '[') refuse("structured types cannot be read");
    const char quote = rest_.empty() ? '\0' : rest_.front();
    if (quote != '\'' && quote != '"') refuse("a text is missing");
    const auto end = rest_.find(quote, 1);
    if (end == std::string_view::npos) refuse("a text does not end");
    const std::string text(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return text;
  }
  bool truth() {
    skip_space();
    for (const std::string_view word : {"True", "False"}) {
      if (!rest_.starts_with(word)) continue;
      rest_.remove_prefix(word.size());
      return word == "True";
    }
    refuse("fortran_order is neither True nor False");
  }
  std::int64_t integer() {
    skip_space();
    std::int64_t value = 0;
    std::size_t digits = 0;
    for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits) {
      if (value > (std::numeric_limits<std::int64_t>::max() - 9) / 10) refuse("a dimension is too large");
      value = 10 * value + (rest_[digits] - '0');
    }
    if (digits == 0) refuse("a dimension is missing");
    rest_.remove_prefix(digits);
    accept('L');  // as Python 2 wrote long integers
    return value;
  }
  std::vector<std::int64_t> shape() {
    std::vector<std::int64_t> dimensions;
    expect('(');
    while (!accept(')')) {
      if (dimensions.size() == 32) refuse("more than 32 dimensions");
      dimensions.push_back(integer());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return dimensions;
  }
  void set_type(NpyHeader& header, const std::string& type) const {
    static const std::vector<std::string> kTypes = {"b1", "i1", "i2", "i4", "i8", "u1",
                                                    "u2", "u4", "u8", "f2", "f4", "f8"};
    const bool ordered = type.size() == 3 && std::string_view("<>|=").find(type[0]) != std::string_view::npos;
    header.dtype = ordered ? type.substr(1) : type;
    header.big_endian = ordered && type[0] == '>';
    PL_CHECK(std::find(kTypes.begin(), kTypes.end(), header.dtype) != kTypes.end(), ExitCode::kInput, origin_,
             " has elements of type '", type, "', which cannot be read. Known are ", core::listed(kTypes), ".");
  }

  std::string_view rest_;
  const std::string& origin_;
  bool fortran_ = false;
};

std::string header_text(const std::string& dtype, const std::vector<std::int64_t>& shape) {
  std::string text =
      core::concat("{'descr': '", dtype.back() == '1' ? '|' : '<', dtype, "', 'fortran_order': False, 'shape': (");
  for (std::size_t i = 0; i < shape.size(); ++i) text += core::concat(i ? ", " : "", shape[i]);
  text += shape.size() == 1 ? ",), }" : "), }";
  // Magic, version and length are 10 bytes; the elements begin at a multiple of 64.
  text.append(63 - (10 + text.size()) % 64, ' ');
  return text + '\n';
}

void swap_bytes(std::span<std::byte> bytes, std::size_t width) {
  for (std::size_t at = 0; at + width <= bytes.size(); at += width) {
    std::reverse(bytes.begin() + at, bytes.begin() + at + width);
  }
}

}  // namespace

std::uint64_t NpyHeader::item_bytes() const { return static_cast<std::uint64_t>(dtype[1] - '0'); }

std::uint64_t NpyHeader::bytes() const {
  std::uint64_t total = item_bytes();
  for (const std::int64_t dimension : shape) {
    const bool fits = dimension == 0 || total <= std::numeric_limits<std::uint64_t>::max() / dimension;
    PL_CHECK(fits, ExitCode::kInput, "An array's dimensions multiply to more than 2^64 bytes; its header is damaged.");
    total *= static_cast<std::uint64_t>(dimension);
  }
  return total;
}

NpyHeader read_npy_header(ByteStream& stream, const std::string& origin) {
  std::array<std::byte, 12> start{};
  read_exactly(stream, std::span(start).first(8), origin);
  const bool magic = std::equal(kMagic.begin(), kMagic.end(), reinterpret_cast<const char*>(start.data()));
  const int version = std::to_integer<int>(start[6]);
  PL_CHECK(magic && version >= 1 && version <= 3, ExitCode::kInput, origin, " is no .npy array of version 1, 2 or 3.");
  const int width = version == 1 ? 2 : 4;
  read_exactly(stream, std::span(start).subspan(8, static_cast<std::size_t>(width)), origin);
  const std::uint64_t length = little_endian(start, 8, width);
  PL_CHECK(length <= kLongestHeader, ExitCode::kInput, origin, " has a .npy header of ", length,
           " bytes; it is damaged.");
  std::string text(static_cast<std::size_t>(length), ' ');
  read_exactly(stream, std::as_writable_bytes(std::span(text)), origin);
  NpyHeader header = HeaderText(text, origin).parse();
  header.begin = 8 + static_cast<std::uint64_t>(width) + length;
  return header;
}

NpzReader::NpzReader(core::FileSystem& files, const std::string& path) : path_(path), zip_(files, path) {}

std::vector<std::string> NpzReader::names() const {
  std::vector<std::string> names;
  for (const auto& member : zip_.members()) {
    if (member.name.ends_with(".npy")) names.push_back(member.name.substr(0, member.name.size() - 4));
  }
  return names;
}

bool NpzReader::has(const std::string& name) const { return zip_.find(name + ".npy") != nullptr; }

const ZipMember& NpzReader::member(const std::string& name) const {
  const ZipMember* found = zip_.find(name + ".npy");
  PL_CHECK(found, ExitCode::kInput, path_, " has no array ", name, ". It has: ", core::listed(names()), ".");
  return *found;
}

NpyHeader NpzReader::header(const std::string& name) const {
  return read_npy_header(*zip_.open(member(name)), origin(name));
}

NpyArray NpzReader::read(const std::string& name) const {
  const auto stream = zip_.open(member(name));
  const NpyHeader header = read_npy_header(*stream, origin(name));
  NpyArray array{header.dtype, header.shape, read_announced(*stream, header.bytes(), origin(name))};
  if (header.big_endian) swap_bytes(array.bytes, header.item_bytes());
  return array;
}

std::optional<std::uint64_t> NpzReader::offset(const std::string& name) const {
  const ZipMember& found = member(name);
  const NpyHeader announced = header(name);
  if (!found.stored || announced.big_endian) return std::nullopt;
  PL_CHECK(found.bytes >= announced.begin && found.bytes - announced.begin == announced.bytes(), ExitCode::kInput,
           origin(name), " has ", found.bytes, " bytes, which is not what its header announces. ",
           "Fetch or copy the file again.");
  return zip_.data_offset(found) + announced.begin;
}

void NpzWriter::begin(const std::string& name, const std::string& dtype, const std::vector<std::int64_t>& shape) {
  const std::string text = header_text(dtype, shape);
  std::vector<std::byte> start;
  for (const char c : kMagic) start.push_back(static_cast<std::byte>(c));
  put_little_endian(start, 1, 2);  // version 1.0
  put_little_endian(start, text.size(), 2);
  zip_.begin(name + ".npy", start.size() + text.size() + NpyHeader{dtype, shape}.bytes());
  zip_.append(start);
  zip_.append(std::as_bytes(std::span(text)));
}

void NpzWriter::add(const std::string& name, const NpyArray& array) {
  begin(name, array.dtype, array.shape);
  append(array.bytes);
}

}  // namespace pathline::data

// SPDX-License-Identifier: Apache-2.0
#include "data/exif.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "data/little_endian.h"

namespace pathline::data {
namespace {

constexpr std::uint64_t kOrientation = 0x0112, kShort = 3, kMagic = 42;
constexpr std::size_t kEntryBytes = 12;

/// Numbers of a TIFF file, whose first two letters say in which order their bytes are.
class Tiff {
 public:
  explicit Tiff(std::span<const std::byte> bytes) : bytes_(bytes) {}

  bool is_valid() const {
    return bytes_.size() >= 8 && bytes_[0] == bytes_[1] && (is_big() || bytes_[0] == std::byte{'I'}) &&
           number(2, 2) == kMagic;
  }
  bool holds(std::size_t at, std::size_t bytes) const { return at <= bytes_.size() && bytes <= bytes_.size() - at; }
  std::uint64_t number(std::size_t at, int width) const {
    return is_big() ? big_endian(bytes_, at, width) : little_endian(bytes_, at, width);
  }

 private:
  bool is_big() const { return bytes_[0] == std::byte{'M'}; }

  std::span<const std::byte> bytes_;
};

/// Whether rows become columns, and where the picture's first column and first row come from.
struct Turn {
  bool swaps, from_right, from_bottom;
};

Turn turn_of(int orientation) {
  constexpr std::array<Turn, 8> kTurns = {{{false, false, false},  // 1 as stored
                                           {false, true, false},   // 2 mirrored
                                           {false, true, true},    // 3 by 180 degrees
                                           {false, false, true},   // 4 upside down in a mirror
                                           {true, false, false},   // 5 transposed
                                           {true, false, true},    // 6 by 90 degrees, clockwise
                                           {true, true, true},     // 7 transposed along the other diagonal
                                           {true, true, false}}};  // 8 by 90 degrees, counter-clockwise
  return kTurns[static_cast<std::size_t>(orientation - 1)];
}

}  // namespace

int tiff_orientation(std::span<const std::byte> bytes) {
  const Tiff tiff(bytes);
  if (!tiff.is_valid()) return 1;
  const auto directory = static_cast<std::size_t>(tiff.number(4, 4));
  if (!tiff.holds(directory, 2)) return 1;
  const std::uint64_t entries = tiff.number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + i * kEntryBytes;
    if (!tiff.holds(at, kEntryBytes)) return 1;
    if (tiff.number(at, 2) != kOrientation) continue;
    const bool readable = tiff.number(at + 2, 2) == kShort && tiff.number(at + 4, 4) == 1;
    const std::uint64_t value = readable ? tiff.number(at + 8, 2) : 0;
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

int exif_orientation(std::span<const std::byte> app1) {
  constexpr std::array<std::byte, 6> kExif = {std::byte{'E'}, std::byte{'x'}, std::byte{'i'},
                                              std::byte{'f'}, std::byte{0},   std::byte{0}};
  if (app1.size() < kExif.size() || !std::equal(kExif.begin(), kExif.end(), app1.begin())) return 1;
  return tiff_orientation(app1.subspan(kExif.size()));
}

Image upright(Image image, int orientation) {
  if (orientation == 1) return image;
  const Turn turn = turn_of(orientation);
  Image out(turn.swaps ? image.width : image.height, turn.swaps ? image.height : image.width, image.channels);
  for (std::int64_t y = 0; y < out.height; ++y) {
    for (std::int64_t x = 0; x < out.width; ++x) {
      const std::int64_t row = turn.swaps ? x : y, column = turn.swaps ? y : x;
      const std::int64_t from_y = turn.from_bottom ? image.height - 1 - row : row;
      const std::int64_t from_x = turn.from_right ? image.width - 1 - column : column;
      for (std::int64_t c = 0; c < image.channels; ++c) out.at(y, x, c) = image.at(from_y, from_x, c);
    }
  }
  return out;
}

}  // namespace pathline::data

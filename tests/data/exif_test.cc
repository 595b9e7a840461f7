// SPDX-License-Identifier: Apache-2.0
// Oracle: what Pillow 13.0.0's ImageOps.exif_transpose makes of the 3 x 2 picture 1 2 3 / 4 5 6, written down below.
#include "data/exif.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>
#include <zlib.h>

#include <cstdlib>

#include "data/jpeg.h"
#include "data/png.h"
#include "tests/support/made_jpeg.h"

namespace pathline::data {
namespace {

using Bytes = std::vector<std::byte>;

const std::vector<std::vector<std::uint8_t>> kByPillow = {{1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1},
                                                          {4, 5, 6, 1, 2, 3}, {1, 4, 2, 5, 3, 6}, {4, 1, 5, 2, 6, 3},
                                                          {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4}};

enum class Order { kLittle, kBig };

void put(Bytes& out, std::uint32_t value, int width, Order order) {
  for (int i = 0; i < width; ++i) {
    const int shift = 8 * (order == Order::kLittle ? i : width - 1 - i);
    out.push_back(static_cast<std::byte>(value >> shift));
  }
}

/// A TIFF header and a directory of two entries: the width of a picture, and the orientation.
Bytes tiff(std::uint32_t orientation, Order order, std::uint32_t type = 3, std::uint32_t entries = 2) {
  Bytes out(2, order == Order::kLittle ? std::byte{'I'} : std::byte{'M'});
  put(out, 42, 2, order);
  put(out, 8, 4, order);
  put(out, entries, 2, order);
  for (const auto& [tag, value] : {std::pair{0x0100u, 4u}, {0x0112u, orientation}}) {
    put(out, tag, 2, order);
    put(out, tag == 0x0112 ? type : 3, 2, order);
    put(out, 1, 4, order);
    put(out, value, 2, order);
    put(out, 0, 2, order);
  }
  put(out, 0, 4, order);
  return out;
}

Bytes app1(const Bytes& content) {
  Bytes out;
  for (const char letter : {'E', 'x', 'i', 'f', '\0', '\0'}) out.push_back(static_cast<std::byte>(letter));
  out.insert(out.end(), content.begin(), content.end());
  return out;
}

Image small() {
  Image image(2, 3, 1);
  image.pixels = {1, 2, 3, 4, 5, 6};
  return image;
}

TEST(Exif, EveryOrientationTurnsAsPillowDoes) {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image out = upright(small(), orientation);
    EXPECT_EQ(out.pixels, kByPillow[static_cast<std::size_t>(orientation - 1)]) << orientation;
    EXPECT_EQ(out.height, orientation < 5 ? 2 : 3);
    EXPECT_EQ(out.width, orientation < 5 ? 3 : 2);
  }
}

TEST(Exif, ChannelsStayTogether) {
  Image image(1, 2, 3);
  image.pixels = {1, 2, 3, 4, 5, 6};
  EXPECT_THAT(upright(image, 2).pixels, testing::ElementsAre(4, 5, 6, 1, 2, 3));
}

TEST(Exif, BothByteOrdersAreRead) {
  for (const Order order : {Order::kLittle, Order::kBig}) {
    for (std::uint32_t orientation = 1; orientation <= 8; ++orientation) {
      EXPECT_EQ(exif_orientation(app1(tiff(orientation, order))), static_cast<int>(orientation));
    }
  }
}

TEST(Exif, WhatCannotBeReadLeavesThePictureAsStored) {
  for (const Order order : {Order::kLittle, Order::kBig}) {
    for (const std::uint32_t value : {0u, 9u, 65535u}) EXPECT_EQ(tiff_orientation(tiff(value, order)), 1);
    EXPECT_EQ(tiff_orientation(tiff(6, order, 2)), 1);         // text
    EXPECT_EQ(tiff_orientation(tiff(6, order, 3, 1)), 1);      // the entry lies behind the directory
    EXPECT_EQ(tiff_orientation(tiff(6, order, 3, 65535)), 6);  // found before the file ends
    const Bytes whole = tiff(6, order);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const int orientation = tiff_orientation(std::span(whole).first(size));
      EXPECT_EQ(orientation, size < 34 ? 1 : 6) << size;  // 8 of header, 2 of count, 2 entries of 12
    }
  }
  EXPECT_EQ(exif_orientation(tiff(6, Order::kBig)), 1);
}

/// 16 x 8 pixels of which the left half is 200 and the right 40: flat blocks of 8 x 8, which JPEG keeps.
Bytes jpeg_with(const Bytes& segment) {
  Image image(8, 16, 1, 40);
  for (std::int64_t y = 0; y < 8; ++y) std::fill_n(&image.at(y, 0, 0), 8, std::uint8_t{200});
  return tests::made_jpeg(image, JCS_GRAYSCALE, {.begin = [&segment](jpeg_compress_struct& jpeg) {
                            jpeg_write_marker(&jpeg, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(segment.data()),
                                              static_cast<unsigned>(segment.size()));
                          }});
}

TEST(Exif, JpegFilesAreTurned) {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image stored = decode_jpeg(jpeg_with(app1(tiff(1, Order::kBig))), "test");
    const auto written = static_cast<std::uint32_t>(orientation);
    const Image image = decode_jpeg(jpeg_with(app1(tiff(written, Order::kLittle))), "test");
    EXPECT_EQ(image, upright(stored, orientation));
    EXPECT_EQ(image.width, orientation < 5 ? 16 : 8);
    const bool light_first = orientation == 1 || orientation == 4 || orientation == 5 || orientation == 6;
    EXPECT_NEAR(image.at(0, 0, 0), light_first ? 200 : 40, 1) << orientation;  // flat blocks: rounding of one number
  }
}

TEST(Exif, JpegFilesWithOtherSegmentsAreLeftAlone) {
  Bytes xmp;
  for (const char letter : std::string("http://ns.adobe.com/xap/1.0/")) xmp.push_back(static_cast<std::byte>(letter));
  EXPECT_NEAR(decode_jpeg(jpeg_with(xmp), "test").at(0, 0, 0), 200, 1);
  EXPECT_NEAR(decode_jpeg(jpeg_with({}), "test").at(0, 0, 0), 200, 1);
}

/// `file` with a chunk eXIf (PNG 3, 11.3.4.5) before its last one.
Bytes with_exif(const Bytes& file, const Bytes& content) {
  Bytes chunk;
  for (const char letter : {'e', 'X', 'I', 'f'}) chunk.push_back(static_cast<std::byte>(letter));
  chunk.insert(chunk.end(), content.begin(), content.end());
  const auto crc = ::crc32(0, reinterpret_cast<const Bytef*>(chunk.data()), static_cast<uInt>(chunk.size()));
  Bytes out(file.begin(), file.end() - 12);
  put(out, static_cast<std::uint32_t>(content.size()), 4, Order::kBig);
  out.insert(out.end(), chunk.begin(), chunk.end());
  put(out, static_cast<std::uint32_t>(crc), 4, Order::kBig);
  out.insert(out.end(), file.end() - 12, file.end());
  return out;
}

TEST(Exif, PngFilesAreTurnedBehindTheirPixelsToo) {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const auto content = tiff(static_cast<std::uint32_t>(orientation), Order::kBig);
    EXPECT_EQ(decode_png(with_exif(encode_png(small()), content), "test"), upright(small(), orientation));
  }
}

}  // namespace
}  // namespace pathline::data

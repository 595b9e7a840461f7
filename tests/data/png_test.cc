// SPDX-License-Identifier: Apache-2.0
// Oracle: libpng's simplified interface (png_image_*), a path of its own through the library, and hand-written rows.
#include "data/png.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>
#include <zlib.h>

#include "core/error.h"

namespace pathline::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Image colourful(std::int64_t height, std::int64_t width, std::int64_t channels) {
  Image image(height, width, channels);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<std::uint8_t>(i * 37 + i / 7);
  return image;
}

std::vector<std::uint8_t> decoded_by_simplified_interface(const std::vector<std::byte>& file, png_uint_32 format) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  EXPECT_TRUE(png_image_begin_read_from_memory(&image, file.data(), file.size())) << image.message;
  image.format = format;
  std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(image));
  EXPECT_TRUE(png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr)) << image.message;
  return pixels;
}

std::vector<std::byte> encoded_by_simplified_interface(std::uint32_t height, std::uint32_t width, png_uint_32 format,
                                                       const std::vector<std::uint8_t>& pixels,
                                                       const std::vector<std::uint8_t>& palette = {}) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.height = height;
  image.width = width;
  image.format = format;
  image.colormap_entries = static_cast<png_uint_32>(palette.size() / 3);
  png_alloc_size_t size = 0;
  EXPECT_TRUE(png_image_write_get_memory_size(image, size, 0, pixels.data(), 0, palette.data())) << image.message;
  std::vector<std::byte> file(size);
  EXPECT_TRUE(png_image_write_to_memory(&image, file.data(), &size, 0, pixels.data(), 0, palette.data()));
  file.resize(size);
  return file;
}

/// Rows as libpng's low-level writer takes them, for depths and interlacing that the simplified interface lacks.
std::vector<std::byte> encoded_raw(png_uint_32 height, png_uint_32 width, int depth, int colour, int interlace,
                                   std::vector<std::vector<std::uint8_t>> rows) {
  std::vector<std::byte> file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &file,
      [](png_structp p, png_bytep data, std::size_t size) {
        auto* out = static_cast<std::vector<std::byte>*>(png_get_io_ptr(p));
        out->insert(out->end(), reinterpret_cast<std::byte*>(data), reinterpret_cast<std::byte*>(data) + size);
      },
      nullptr);
  png_set_IHDR(png, info, width, height, depth, colour, interlace, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  std::vector<png_bytep> pointers;
  for (auto& row : rows) pointers.push_back(row.data());
  png_write_image(png, pointers.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return file;
}

TEST(Png, EncodedRgbIsWhatAnotherDecoderSees) {
  const Image image = colourful(5, 7, 3);
  EXPECT_EQ(decoded_by_simplified_interface(encode_png(image), PNG_FORMAT_RGB), image.pixels);
}

TEST(Png, EncodedGreyIsWhatAnotherDecoderSees) {
  const Image image = colourful(28, 28, 1);
  EXPECT_EQ(decoded_by_simplified_interface(encode_png(image), PNG_FORMAT_GRAY), image.pixels);
}

TEST(Png, DecodesWhatAnotherEncoderWrote) {
  for (const std::int64_t channels : {1, 3}) {
    const Image image = colourful(9, 4, channels);
    const auto file =
        encoded_by_simplified_interface(9, 4, channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB, image.pixels);
    EXPECT_EQ(decode_png(file, "test"), image);
  }
}

TEST(Png, LooksPalettesUp) {
  const std::vector<std::uint8_t> palette = {255, 0, 0, 0, 255, 0, 10, 20, 30};
  const auto file = encoded_by_simplified_interface(1, 4, PNG_FORMAT_RGB_COLORMAP, {2, 0, 1, 2}, palette);
  const Image image = decode_png(file, "test");
  EXPECT_EQ(image.channels, 3);
  EXPECT_THAT(image.pixels, ElementsAre(10, 20, 30, 255, 0, 0, 0, 255, 0, 10, 20, 30));
}

TEST(Png, LaysTransparencyOverWhite) {
  const auto file = encoded_raw(1, 3, 8, PNG_COLOR_TYPE_RGBA, PNG_INTERLACE_NONE,
                                {{10, 20, 30, 255, 10, 20, 30, 0, 0, 100, 255, 51}});
  // The third pixel is a fifth of its colour and four fifths white: 204 + c / 5.
  EXPECT_THAT(decode_png(file, "test").pixels, ElementsAre(10, 20, 30, 255, 255, 255, 204, 224, 255));
  const auto grey = encoded_raw(1, 2, 8, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_INTERLACE_NONE, {{7, 255, 7, 0}});
  EXPECT_THAT(decode_png(grey, "test").pixels, ElementsAre(7, 255));
}

TEST(Png, ScalesOtherDepthsToEightBits) {
  const auto deep = encoded_raw(1, 3, 16, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, {{0, 0, 0x80, 0x80, 0xff, 0xff}});
  EXPECT_THAT(decode_png(deep, "test").pixels, ElementsAre(0, 128, 255));
  const auto bits = encoded_raw(1, 4, 1, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, {{0b10110000}});
  EXPECT_THAT(decode_png(bits, "test").pixels, ElementsAre(255, 0, 255, 255));
}

TEST(Png, DecodesInterlacedFiles) {
  const Image image = colourful(11, 13, 3);
  std::vector<std::vector<std::uint8_t>> rows;
  for (std::int64_t y = 0; y < 11; ++y) {
    rows.emplace_back(image.pixels.begin() + y * 39, image.pixels.begin() + (y + 1) * 39);
  }
  EXPECT_EQ(decode_png(encoded_raw(11, 13, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_ADAM7, rows), "test"), image);
}

TEST(Png, NamesTheFileThatCannotBeDecoded) {
  auto file = encode_png(colourful(5, 7, 3));
  file.resize(file.size() / 2);
  try {
    decode_png(file, "cats/half.png");
    FAIL() << "half a file was decoded";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kInput);
    EXPECT_THAT(error.what(), HasSubstr("cats/half.png"));
  }
}

TEST(Png, NoticesEveryFlippedByte) {
  const Image image = colourful(4, 4, 3);
  const auto file = encode_png(image);
  for (std::size_t at = 0; at < file.size(); ++at) {
    auto damaged = file;
    damaged[at] ^= std::byte{0x55};
    EXPECT_THROW(decode_png(damaged, "test"), core::Error) << "byte " << at;
  }
}

TEST(Png, RefusesSizesThatNoPictureHas) {
  auto file = encoded_raw(1, 1, 8, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, {{0}});
  file[18] = file[22] = std::byte{0x80};  // IHDR: 32,769 x 32,769 pixels
  const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(file.data() + 12), 17);
  for (int i = 0; i < 4; ++i) file[29 + i] = static_cast<std::byte>(crc >> (24 - 8 * i) & 0xff);
  try {
    decode_png(file, "test");
    FAIL() << "memory for 2^30 pixels was taken";
  } catch (const core::Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("2^28 pixels"));
  }
}

}  // namespace
}  // namespace pathline::data

// SPDX-License-Identifier: Apache-2.0
// PNG files: grey, colour, palettes, 16 bits, transparency, interlacing.
#include "data/png.h"

#include <png.h>
#include <zlib.h>

#include "tests/fuzz/pictures.h"

namespace pathline::fuzz {

namespace {

Bytes written(int depth, int colour, int interlace) {
  constexpr png_uint_32 kHeight = 9, kWidth = 7;
  Bytes file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &file,
      [](png_structp p, png_bytep data, std::size_t size) {
        auto* out = static_cast<Bytes*>(png_get_io_ptr(p));
        out->insert(out->end(), data, data + size);
      },
      nullptr);
  png_set_IHDR(png, info, kWidth, kHeight, depth, colour, interlace, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  const png_color palette[4] = {{1, 2, 3}, {50, 60, 70}, {200, 100, 0}, {255, 255, 255}};
  const png_byte alphas[2] = {0, 128};
  if (colour == PNG_COLOR_TYPE_PALETTE) {
    png_set_PLTE(png, info, palette, 4);
    png_set_tRNS(png, info, alphas, 2, nullptr);
  }
  png_write_info(png, info);
  std::vector<Bytes> rows(kHeight, Bytes(8 * kWidth, 0x1b));
  std::vector<png_bytep> pointers;
  for (Bytes& row : rows) pointers.push_back(row.data());
  png_write_image(png, pointers.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return file;
}

}  // namespace

std::vector<Bytes> seeds() {
  std::vector<Bytes> made = {bytes_of(data::encode_png(small_picture(6, 5, 3)))};
  for (const int interlace : {PNG_INTERLACE_NONE, PNG_INTERLACE_ADAM7}) {
    made.push_back(written(2, PNG_COLOR_TYPE_PALETTE, interlace));
    made.push_back(written(1, PNG_COLOR_TYPE_GRAY, interlace));
    made.push_back(written(16, PNG_COLOR_TYPE_RGB_ALPHA, interlace));
    made.push_back(written(8, PNG_COLOR_TYPE_GRAY_ALPHA, interlace));
  }
  return made;
}

/// The chunks' checksums.
void mend(Bytes& input) {
  const auto number = [&](std::size_t at) {
    return std::size_t{input[at]} << 24 | std::size_t{input[at + 1]} << 16 | std::size_t{input[at + 2]} << 8 |
           input[at + 3];
  };
  for (std::size_t at = 8; at + 12 <= input.size();) {
    const std::size_t length = number(at);
    if (length > input.size() - at - 12) return;
    const uLong crc = crc32(0, input.data() + at + 4, static_cast<uInt>(length + 4));
    for (std::size_t i = 0; i < 4; ++i) {
      input[at + 8 + length + i] = static_cast<std::uint8_t>(crc >> (24 - 8 * i));
    }
    at += length + 12;
  }
}

}  // namespace pathline::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  pathline::fuzz::expect_answer(
      [&] { (void)pathline::data::decode_png(std::as_bytes(std::span(data, size)), "input"); });
  return 0;
}

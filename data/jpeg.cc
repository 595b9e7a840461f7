// SPDX-License-Identifier: Apache-2.0
// libjpeg reports errors by a callback that must not return: longjmp, under the same rule as in png.cc.
#include "data/jpeg.h"

#include <csetjmp>
#include <cstdio>  // jpeglib.h wants FILE
#include <utility>

#include <jpeglib.h>

#include <jerror.h>  // knows more after jpeglib.h

#include "core/error.h"
#include "data/exif.h"

namespace pathline::data {
namespace {

using core::ExitCode;

constexpr std::uint64_t kMostPixels = std::uint64_t{1} << 28;
constexpr int kExifMarker = JPEG_APP0 + 1;

struct ErrorManager {
  jpeg_error_mgr base{};  // first: libjpeg hands us a pointer to it
  std::jmp_buf jump;
  char text[JMSG_LENGTH_MAX] = "";
};

void fail(j_common_ptr common) {
  auto* errors = reinterpret_cast<ErrorManager*>(common->err);
  common->err->format_message(common, errors->text);
  std::longjmp(errors->jump, 1);
}

/// Warnings after which the pixels are not those that were written.
bool is_damage(int code) {
  return code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_MUST_RESYNC ||
         code == JWRN_ARITH_BAD_CODE;
}

void judge(j_common_ptr common, int level) {
  if (level < 0 && is_damage(common->err->msg_code)) fail(common);
}

struct Decoder {
  jpeg_decompress_struct jpeg{};
  ErrorManager errors;

  Decoder() {
    jpeg.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = fail;
    errors.base.emit_message = judge;
  }
  ~Decoder() { jpeg_destroy_decompress(&jpeg); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
};

bool start(Decoder& decoder, const unsigned char* data, unsigned long size) {
  if (setjmp(decoder.errors.jump)) return false;
  jpeg_create_decompress(&decoder.jpeg);
  jpeg_mem_src(&decoder.jpeg, data, size);
  jpeg_save_markers(&decoder.jpeg, kExifMarker, 0xffff);
  jpeg_read_header(&decoder.jpeg, TRUE);
  switch (decoder.jpeg.jpeg_color_space) {
    case JCS_GRAYSCALE:
      decoder.jpeg.out_color_space = JCS_GRAYSCALE;
      break;
    case JCS_CMYK:
    case JCS_YCCK:
      decoder.jpeg.out_color_space = JCS_CMYK;
      break;
    default:
      decoder.jpeg.out_color_space = JCS_RGB;
  }
  jpeg_calc_output_dimensions(&decoder.jpeg);
  return true;
}

bool read_rows(Decoder& decoder, std::uint8_t* out, std::size_t row_bytes) {
  if (setjmp(decoder.errors.jump)) return false;
  jpeg_start_decompress(&decoder.jpeg);
  while (decoder.jpeg.output_scanline < decoder.jpeg.output_height) {
    JSAMPROW row = out + decoder.jpeg.output_scanline * row_bytes;
    jpeg_read_scanlines(&decoder.jpeg, &row, 1);
  }
  jpeg_finish_decompress(&decoder.jpeg);
  return true;
}

int orientation_of(const jpeg_decompress_struct& jpeg) {
  for (const auto* marker = jpeg.marker_list; marker != nullptr; marker = marker->next) {
    const std::span content(reinterpret_cast<const std::byte*>(marker->data), marker->data_length);
    if (const int orientation = exif_orientation(content); orientation != 1) return orientation;
  }
  return 1;
}

/// CMYK as Adobe stores it (inverted: 255 is no ink) to RGB.
Image without_black(const Image& image) {
  Image out(image.height, image.width, 3);
  for (std::size_t i = 0; i < out.pixels.size() / 3; ++i) {
    const int key = image.pixels[4 * i + 3];
    for (std::size_t c = 0; c < 3; ++c) {
      out.pixels[3 * i + c] = static_cast<std::uint8_t>((image.pixels[4 * i + c] * key + 127) / 255);
    }
  }
  return out;
}

}  // namespace

bool is_jpeg(std::span<const std::byte> start_of_file) {
  return start_of_file.size() >= 3 && start_of_file[0] == std::byte{0xff} && start_of_file[1] == std::byte{0xd8} &&
         start_of_file[2] == std::byte{0xff};
}

Image decode_jpeg(std::span<const std::byte> file, const std::string& origin) {
  Decoder decoder;
  const auto refuse = [&](const char* why) {
    throw core::Error(ExitCode::kInput, core::concat(origin, " cannot be decoded as JPEG: ", why,
                                                     ". Replace the file, or leave it out."));
  };
  if (!start(decoder, reinterpret_cast<const unsigned char*>(file.data()), file.size())) refuse(decoder.errors.text);
  const auto& jpeg = decoder.jpeg;
  if (std::uint64_t{jpeg.output_height} * jpeg.output_width > kMostPixels) refuse("more than 2^28 pixels");
  const int orientation = orientation_of(jpeg);  // libjpeg forgets the markers at the end
  Image image(jpeg.output_height, jpeg.output_width, jpeg.output_components);
  if (!read_rows(decoder, image.pixels.data(), static_cast<std::size_t>(image.width * image.channels))) {
    refuse(decoder.errors.text);
  }
  return upright(image.channels == 4 ? without_black(image) : std::move(image), orientation);
}

}  // namespace pathline::data

// SPDX-License-Identifier: Apache-2.0
// libpng reports errors by longjmp. Note [No destructor is jumped over]: every function that calls setjmp, and every
// frame between it and libpng, holds trivial locals only; objects that own memory live in the caller's frame.
#include "data/png.h"

#include <png.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <exception>
#include <utility>

#include "core/error.h"
#include "data/exif.h"

namespace pathline::data {
namespace {

using core::ExitCode;

constexpr std::uint64_t kMostPixels = std::uint64_t{1} << 28;

struct Failure {
  std::array<char, 160> text{};
};

void fail(png_structp png, png_const_charp text) {
  auto* failure = static_cast<Failure*>(png_get_error_ptr(png));
  std::snprintf(failure->text.data(), failure->text.size(), "%s", text);
  png_longjmp(png, 1);
}

void ignore_warning(png_structp, png_const_charp) {}

struct Input {
  std::span<const std::byte> rest;
};

void take(png_structp png, png_bytep out, std::size_t size) {
  auto* input = static_cast<Input*>(png_get_io_ptr(png));
  if (input->rest.size() < size) png_error(png, "the file ends too early");
  std::memcpy(out, input->rest.data(), size);
  input->rest = input->rest.subspan(size);
}

struct Reader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  Failure failure;

  Reader() {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &failure, fail, ignore_warning);
    if (png) info = png_create_info_struct(png);
    PL_CHECK(info, ExitCode::kEnvironment,
             "libpng could not be started: out of memory, or headers and library differ.");
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
};

/// Reads up to the pixels and asks for 8-bit grey, grey + alpha, RGB or RGBA. False: reader.failure says why.
bool read_header(Reader& reader, Input* input) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_set_read_fn(reader.png, input, take);
  png_read_info(reader.png, reader.info);
  png_set_expand(reader.png);
  png_set_scale_16(reader.png);
  png_set_interlace_handling(reader.png);
  const std::uint64_t height = png_get_image_height(reader.png, reader.info);
  const std::uint64_t width = png_get_image_width(reader.png, reader.info);
  if (height * width > kMostPixels) png_error(reader.png, "more than 2^28 pixels");
  png_read_update_info(reader.png, reader.info);
  return true;
}

bool read_pixels(Reader& reader, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_read_image(reader.png, rows);
  png_read_end(reader.png, reader.info);  // checks the last CRCs and that IEND is there
  return true;
}

int orientation_of(const Reader& reader) {
  png_uint_32 size = 0;
  png_bytep content = nullptr;
  if (png_get_eXIf_1(reader.png, reader.info, &size, &content) == 0) return 1;
  return tiff_orientation({reinterpret_cast<const std::byte*>(content), size});
}

std::vector<png_bytep> rows_of(Image& image) {
  std::vector<png_bytep> rows(static_cast<std::size_t>(image.height));
  for (std::size_t y = 0; y < rows.size(); ++y) {
    rows[y] = image.pixels.data() + y * static_cast<std::size_t>(image.width * image.channels);
  }
  return rows;
}

/// c a + 255 (1 - a), rounded to nearest.
Image over_white(const Image& image) {
  Image out(image.height, image.width, image.channels - 1);
  for (std::int64_t y = 0; y < image.height; ++y) {
    for (std::int64_t x = 0; x < image.width; ++x) {
      const int alpha = image.at(y, x, out.channels);
      for (std::int64_t c = 0; c < out.channels; ++c) {
        out.at(y, x, c) = static_cast<std::uint8_t>((image.at(y, x, c) * alpha + 255 * (255 - alpha) + 127) / 255);
      }
    }
  }
  return out;
}

struct Output {
  std::vector<std::byte> bytes;
  bool out_of_memory = false;
};

void give(png_structp png, png_bytep data, std::size_t size) {
  auto* output = static_cast<Output*>(png_get_io_ptr(png));
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  try {
    output->bytes.insert(output->bytes.end(), begin, begin + size);
  } catch (const std::exception&) {
    output->out_of_memory = true;
  }
  if (output->out_of_memory) png_error(png, "out of memory");
}

void flush(png_structp) {}

struct Writer {
  png_structp png = nullptr;
  png_infop info = nullptr;
  Failure failure;

  Writer() {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &failure, fail, ignore_warning);
    if (png) info = png_create_info_struct(png);
    PL_CHECK(info, ExitCode::kEnvironment,
             "libpng could not be started: out of memory, or headers and library differ.");
  }
  ~Writer() { png_destroy_write_struct(&png, &info); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
};

bool write_image(Writer& writer, Output* output, png_uint_32 height, png_uint_32 width, int colour, png_bytepp rows) {
  if (setjmp(png_jmpbuf(writer.png))) return false;
  png_set_write_fn(writer.png, output, give, flush);
  png_set_IHDR(writer.png, writer.info, width, height, 8, colour, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_write_info(writer.png, writer.info);
  png_write_image(writer.png, rows);
  png_write_end(writer.png, nullptr);
  return true;
}

}  // namespace

bool is_png(std::span<const std::byte> start_of_file) {
  return start_of_file.size() >= 8 && png_sig_cmp(reinterpret_cast<png_const_bytep>(start_of_file.data()), 0, 8) == 0;
}

Image decode_png(std::span<const std::byte> file, const std::string& origin) {
  Reader reader;
  Input input{file};
  const auto refuse = [&] {
    throw core::Error(ExitCode::kInput, core::concat(origin, " cannot be decoded as PNG: ", reader.failure.text.data(),
                                                     ". Replace the file, or leave it out."));
  };
  if (!read_header(reader, &input)) refuse();
  Image image(png_get_image_height(reader.png, reader.info), png_get_image_width(reader.png, reader.info),
              png_get_channels(reader.png, reader.info));
  auto rows = rows_of(image);
  if (!read_pixels(reader, rows.data())) refuse();
  return upright(image.channels % 2 == 0 ? over_white(image) : std::move(image), orientation_of(reader));
}

std::vector<std::byte> encode_png(const Image& image) {
  PL_ASSERT(image.channels == 1 || image.channels == 3);
  PL_ASSERT(image.height > 0 && image.width > 0 &&
            image.pixels.size() == static_cast<std::size_t>(image.height * image.width * image.channels));
  Writer writer;
  Output output;
  auto rows = rows_of(const_cast<Image&>(image));  // libpng takes row pointers that it does not write through
  const bool written =
      write_image(writer, &output, static_cast<png_uint_32>(image.height), static_cast<png_uint_32>(image.width),
                  image.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, rows.data());
  PL_CHECK(written, ExitCode::kEnvironment, "A picture of ", image.height, " x ", image.width,
           " cannot be encoded as PNG: ", writer.failure.text.data(), ".");
  return std::move(output.bytes);
}

}  // namespace pathline::data

// SPDX-License-Identifier: Apache-2.0
// JPEG files: grey, colour, CMYK; baseline and progressive.
#include "data/jpeg.h"

#include <cstdio>
#include <cstdlib>

#include <jpeglib.h>

#include "tests/fuzz/pictures.h"

namespace pathline::fuzz {

namespace {

Bytes encoded(const data::Image& image, J_COLOR_SPACE space, bool progressive) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &memory, &size);
  jpeg.image_height = static_cast<JDIMENSION>(image.height);
  jpeg.image_width = static_cast<JDIMENSION>(image.width);
  jpeg.input_components = static_cast<int>(image.channels);
  jpeg.in_color_space = space;
  jpeg_set_defaults(&jpeg);
  if (progressive) jpeg_simple_progression(&jpeg);
  jpeg.restart_interval = progressive ? 0 : 1;
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    auto* row = const_cast<JSAMPLE*>(&image.pixels[jpeg.next_scanline * image.width * image.channels]);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  const Bytes file(memory, memory + size);
  std::free(memory);
  return file;
}

}  // namespace

std::vector<Bytes> seeds() {
  std::vector<Bytes> made;
  for (const bool progressive : {false, true}) {
    made.push_back(encoded(small_picture(20, 17, 1), JCS_GRAYSCALE, progressive));
    made.push_back(encoded(small_picture(20, 17, 3), JCS_RGB, progressive));
    made.push_back(encoded(small_picture(20, 17, 4), JCS_CMYK, progressive));
  }
  return made;
}

}  // namespace pathline::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  pathline::fuzz::expect_answer(
      [&] { (void)pathline::data::decode_jpeg(std::as_bytes(std::span(data, size)), "input"); });
  return 0;
}
